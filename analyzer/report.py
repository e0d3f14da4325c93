"""Find reports, read their text, and parse the header comments of the bundled ones."""

from __future__ import annotations

import itertools
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import AnalyzerError, Exit
from analyzer.sql_error import near

_MAX_BYTES = 1 << 20
_SECTION = re.compile(r"(Group|Question|Tables|Optional|Columns|Parameters|Caveats):\s*(.*)")
_NEEDED = frozenset(["Group", "Question", "Tables", "Columns", "Parameters", "Caveats"])
_COLUMN = re.compile(r"  (\w+) {2,}(\S+) {2,}(\S+) {2,}(\S.*)")
_PARAMETER = re.compile(r"  (\w+) {2,}(BIGINT|DOUBLE|VARCHAR) {2,}(\S+) {2,}(\S.*)")
_CONVERT = {"BIGINT": int, "DOUBLE": float, "VARCHAR": str}

GROUPS = ("Processes", "TCP", "Containers", "XDP", "Recording")
"""What reports are about, in the order in which they are listed."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column that a report says it returns; ``unit`` is ``-`` where there is none."""

    name: str
    type: str
    unit: str
    doc: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a report can be given; ``default`` is text, as the header has it."""

    name: str
    type: str
    default: str
    doc: str

    def value(self, text: str) -> object:
        """Return ``text`` as a value of this parameter's type; raise AnalyzerError where it is none."""
        try:
            return _CONVERT[self.type](text)
        except ValueError:
            raise AnalyzerError(f"--param {self.name}={text}: that is no {self.type}.", f"The default is {self.name}={self.default}.") from None


@dataclass(frozen=True, slots=True)
class Header:
    """What the comment at the top of a bundled report says.

    ``optional`` has those of ``tables`` that a recording need not have been asked for: without them the answer is as good.
    """

    title: str
    group: str
    question: str
    tables: tuple[str, ...]
    columns: tuple[Column, ...]
    parameters: tuple[Parameter, ...]
    caveats: str
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A report: what to call it in messages, its SQL, and its header where it has one."""

    name: str
    sql: str
    header: Header | None

    def values(self, given: list[str]) -> dict[str, object]:
        """Return the values of the parameters: those of ``given`` (``NAME=VALUE`` each), else the header's defaults."""
        declared = {parameter.name: parameter for parameter in self.header.parameters} if self.header else {}
        values = {name: parameter.value(parameter.default) for name, parameter in declared.items()}
        for item in given:
            name, equals, text = item.partition("=")
            if not equals:
                raise AnalyzerError(f"--param {item}: a parameter is NAME=VALUE.")
            if self.header and name not in declared:
                hint = near(name, declared) or f"Its parameters: {', '.join(declared) or 'none'}."
                raise AnalyzerError(f"Report {self.name} has no parameter {name}.", hint)
            values[name] = declared[name].value(text) if name in declared else text
        return values


def queries_folder() -> Path:
    """Return the folder of the bundled reports: inside of the package in a wheel, beside it in a source tree."""
    packaged = Path(__file__).parent / "queries"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "queries"


def bundled_names() -> list[str]:
    """Return the names of all bundled reports, sorted."""
    return sorted(path.stem for path in queries_folder().glob("*.sql"))


def find(name: str) -> Report:
    """Return the report that ``name`` means: ``-`` is stdin, then the bundled report of that name, then the file at that path.

    A name with a slash or ending in .sql is a path. Raises AnalyzerError, with the names that are spelled nearly like it.
    """
    if name == "-":
        return _own("stdin", _decode(sys.stdin.buffer.read(_MAX_BYTES + 1), "stdin"))
    is_path = "/" in name or name.endswith(".sql")
    if not is_path and name in bundled_names():
        return bundled(name)
    return _own(name, _read(name, Path(name), is_path))


def bundled(name: str) -> Report:
    """Return the bundled report called ``name``; raise AnalyzerError if there is none."""
    if name not in bundled_names():
        raise AnalyzerError(f"There is no report {name}.", near(name, bundled_names()) or "All of them: analyze --list")
    sql = (queries_folder() / f"{name}.sql").read_text(encoding="utf-8")
    return Report(name, sql, parse_header(sql))


def _own(name: str, sql: str) -> Report:
    """Return a user's own report. It needs no header; one that has every section is taken at its word, and has to be readable."""
    if not has_header(sql):
        return Report(name, sql, None)
    try:
        return Report(name, sql, parse_header(sql))
    except ValueError as error:
        raise AnalyzerError(f"{name}: {error}.", "bpftape new-report writes a header as it has to be; a report also runs without one.") from None


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


def has_header(sql: str) -> bool:
    """Say whether the comment at the top of ``sql`` has each section of a header."""
    return set(_sections(_comment(sql))) >= _NEEDED


def parse_header(sql: str) -> Header:
    """Return what the comment at the top of ``sql`` says; raise ValueError where a section is missing or unreadable."""
    lines = _comment(sql)
    sections = _sections(lines)
    missing = _NEEDED - set(sections)
    if not lines or missing:
        raise ValueError(f"header lacks {', '.join(sorted(missing)) or 'everything'}")
    if (group := _joined(sections["Group"])) not in GROUPS:
        raise ValueError(f"header has group {group!r}; there are {', '.join(GROUPS)}")
    tables = tuple(_joined(sections["Tables"]).split(", "))
    optional = tuple(_joined(sections["Optional"]).split(", ")) if "Optional" in sections else ()
    if strange := set(optional) - set(tables):
        raise ValueError(f"header has {', '.join(sorted(strange))} in Optional and not in Tables")
    return Header(
        title=lines[0],
        group=group,
        question=_joined(sections["Question"]),
        tables=tables,
        columns=tuple(Column(*_fields(_COLUMN, line)) for line in sections["Columns"]),
        parameters=tuple(Parameter(*_fields(_PARAMETER, line)) for line in sections["Parameters"] if line != "none"),
        caveats=_joined(sections["Caveats"]),
        optional=optional,
    )


def _comment(sql: str) -> list[str]:
    lines = itertools.takewhile(lambda line: line.startswith("--"), sql.splitlines())
    return [line[2:].removeprefix(" ") for line in lines]


def _sections(lines: list[str]) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines[1:]:
        if match := _SECTION.fullmatch(line):
            current = sections.setdefault(match[1], [match[2]] if match[2] else [])
        elif line.strip():
            current.append(line)
    return sections


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines)


def _fields(pattern: re.Pattern[str], line: str) -> tuple[str, str, str, str]:
    match = pattern.fullmatch(line)
    if not match:
        raise ValueError(f"header line cannot be read: {line!r}")
    return match[1], match[2], match[3], match[4]
