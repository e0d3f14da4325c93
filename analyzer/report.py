"""Find reports and read their text: those that are bundled by their name, a user's own by its path."""

from __future__ import annotations

import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import AnalyzerError, Exit
from analyzer.header import Header, parse_header, read_header
from analyzer.sql_error import near

_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Report:
    """A report: what to call it in messages, its SQL, and its header where it has one."""

    name: str
    sql: str
    header: Header | None = None

    def values(self, given: Sequence[str]) -> dict[str, object]:
        """Return the values of the parameters: those of ``given`` (``NAME=VALUE`` each), else the header's defaults.

        One that the header does not know stays text. Raises AnalyzerError for what is no value of its parameter's type.
        """
        declared = {parameter.name: parameter for parameter in self.header.parameters} if self.header else {}
        values: dict[str, object] = {}
        for item in given:
            name, equals, text = item.partition("=")
            if not equals:
                raise AnalyzerError(f"--param {item}: a parameter is NAME=VALUE.")
            values[name] = declared[name].value(text) if name in declared else text
        return {name: parameter.value(parameter.default) for name, parameter in declared.items() if name not in values} | values


def queries_folder() -> Path:
    """Return the folder of the bundled reports: inside of the package in a wheel, beside it in a source tree."""
    packaged = Path(__file__).parent / "queries"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "queries"


def bundled_names() -> list[str]:
    """Return the names of all bundled reports, sorted."""
    return sorted(path.stem for path in queries_folder().glob("*.sql"))


def bundled_checks() -> list[str]:
    """Return the names of the bundled expectations, sorted."""
    return sorted(path.stem for path in checks_folder().glob("*.sql"))


def checks_folder() -> Path:
    """Return the folder of the bundled expectations."""
    return queries_folder() / "checks"


def find(name: str) -> Report:
    """Return the report that ``name`` means: ``-`` is stdin, then the bundled report or expectation of that name, then the file at that path.

    A name with a slash or ending in .sql is a path. Raises AnalyzerError, with the names that are spelled nearly like it.
    """
    if name == "-":
        return _own("stdin", _decode(sys.stdin.buffer.read(_MAX_BYTES + 1), "stdin"))
    is_path = "/" in name or name.endswith(".sql")
    if not is_path and name in bundled_names():
        return bundled(name)
    if not is_path and name in bundled_checks():
        return of_check(name)
    return _own(name, _read(name, Path(name), is_path))


def _own(name: str, sql: str) -> Report:
    return Report(name, sql, read_header(sql))


def bundled(name: str) -> Report:
    """Return the bundled report called ``name``; raise AnalyzerError if there is none."""
    if name not in bundled_names():
        raise AnalyzerError(f"There is no report {name}.", near(name, bundled_names()) or "All of them: analyze --list")
    sql = (queries_folder() / f"{name}.sql").read_text(encoding="utf-8")
    return Report(name, sql, parse_header(sql))


def of_check(name: str) -> Report:
    """Return the bundled expectation called ``name``, which is one of bundled_checks()."""
    sql = (checks_folder() / f"{name}.sql").read_text(encoding="utf-8")
    return Report(name, sql, parse_header(sql))


def of_chart(name: str) -> Report:
    """Return the report that gives a chart of the dashboard its rows: one of queries/charts, else the bundled one of that name."""
    path = queries_folder() / "charts" / f"{name}.sql"
    if not path.is_file():
        return bundled(name)
    sql = path.read_text(encoding="utf-8")
    return Report(name, sql, parse_header(sql))


def _read(name: str, path: Path, is_path: bool) -> str:
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            hint = "" if is_path else "Which report is to read it? analyze REPORT RECORDING; all reports: analyze --list"
            raise AnalyzerError(f"{name} is a folder, not a report.", hint)
        with path.open("rb") as file:
            return _decode(file.read(_MAX_BYTES + 1), name)
    except PermissionError:
        raise AnalyzerError(f"Report {name} may not be read by this user.", code=Exit.PERMISSION) from None
    except (OSError, ValueError):
        hint = near(name, bundled_names()) or near(Path(name).stem, bundled_names()) or "All of them: analyze --list"
        raise AnalyzerError(f"There is no report {name}.", hint) from None


def _decode(data: bytes, name: str) -> str:
    if len(data) > _MAX_BYTES:
        raise AnalyzerError(f"{name} is larger than a report may be ({_MAX_BYTES >> 20} MiB).", "Is it a report at all?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnalyzerError(f"{name} is not a report: byte {error.start} is not UTF-8.", "A report is a text file with one SELECT.") from None
    if "\0" in text:
        raise AnalyzerError(f"{name} is not a report: it has a NUL byte.", "A report is a text file with one SELECT.")
    return text
