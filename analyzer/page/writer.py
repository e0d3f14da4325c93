"""Write a page: a fixed text, and between it JSON that the page's own script makes tables and charts of.

Nothing of a recording is ever part of the markup. It is JSON in which no character can end a script, and the script hands it to the document as
text. The policy in the page's head lets the browser run the scripts and the style that were put in here, known by their hashes, and nothing else:
no network, no other script, no form.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from analyzer.grid import cell
from analyzer.text import printable
from analyzer.values import json_text, to_json
from analyzer.version import version
from analyzer.wording import line, nothing

if TYPE_CHECKING:
    from analyzer.answer import Answer
    from analyzer.header import Column
    from analyzer.result import Field

_FOLDER = Path(__file__).parent
# JavaScript has no integer beyond this one: longer ones go as text.
_EXACT_MAX = 2**53


class Page:
    """Writes one page to a file, part after part; memory does not grow with the rows of a table."""

    def __init__(self, out: TextIO, scripts: Sequence[str]) -> None:
        """Write the head. ``scripts`` run at the end, in that order, after the page's own one."""
        self._out = out
        self._scripts = [asset("page.js"), *scripts]
        style = asset("page.css")
        allowed = " ".join(map(_hash, self._scripts))
        policy = f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src {_hash(style)}; script-src {allowed}"
        out.write(asset("page.html").replace("{{policy}}", policy).replace("{{style}}", style))

    def title(self, answer: Answer, title: str, notes: Sequence[str] = ()) -> None:
        """Write what the page is about: the report of ``answer``, whose recordings and trust are those of the page."""
        header = answer.report.header
        self._part(
            "page",
            {
                "title": printable(title),
                "question": printable(header.question) if header else "",
                "recordings": [printable(name) for name in answer.names.values()],
                "values": [f"{name} = {cell(value)}" for name, value in answer.values.items()],
                "trust": _trust(answer),
                "notes": [printable(note) for note in (*notes, *answer.notes)],
                "sql": "\n".join(map(printable, answer.report.sql.splitlines())),
                "made": f"Made by bpftape {version()}. Times are UTC.",
            },
        )

    def section(self, name: str, title: str, answer: Answer | None, lead: str = "", empty: str | None = None, left_out: int = 0) -> None:
        """Begin a section, without a heading where ``title`` is empty.

        ``answer`` is None where all that there is to say of it stands above. ``empty`` says what it means that it has no rows, if nothing is in
        doubt; None: it has some. ``left_out`` is how many rows a chart does not show.
        """
        self._part(
            "section",
            {
                "id": name,
                "title": title,
                "lead": lead,
                "trust": _trust(answer) if answer and answer.trust and answer.trust.tables else None,
                "notes": [f"{left_out:,} rows were left out of the chart"] if left_out else [],
                "nothing": "" if empty is None or answer is None else (empty if empty and answer.is_complete else nothing(answer.trust)),
                "doubt": _doubt(answer) if answer else "",
            },
        )

    def chart(self, chart: dict[str, Any]) -> None:
        """Write a chart: what charts.js takes, its text without control characters."""
        self._part("chart", chart)

    def table(self, answer: Answer, most_rows: int, most_bytes: int, folded: bool = False) -> int:
        """Write the rows of ``answer``, up to so many and so large, and say how many were left out; return the number of all.

        ``folded``: the table is one of several, and has its own question and trust above it.
        """
        header = answer.report.header
        self._part(
            "table",
            {
                "title": printable(header.title if header and header.title else answer.report.name),
                "question": printable(header.question) if header else "",
                "caveats": printable(header.caveats) if header else "",
                "trust": _trust(answer),
                "notes": [printable(note) for note in answer.notes],
                "nothing": nothing(answer.trust),
                "doubt": _doubt(answer),
                "folded": folded,
                "columns": _columns(answer),
            },
        )
        rows = (row for batch in answer.result.batches for row in batch)
        kept = self._rows(_fitting(rows, answer.fields, most_rows, most_bytes))
        left_out = sum(1 for _ in rows)
        self._part("end", {"left_out": left_out})
        return kept + left_out

    def end(self) -> None:
        """Write the scripts and the end of the page."""
        for script in self._scripts:
            self._out.write(f"<script>{script}</script>\n")
        self._out.write("</body>\n</html>\n")

    def _rows(self, rows: Iterator[str]) -> int:
        self._out.write('<script type="application/json" data-part="rows">[')
        count = 0
        for count, row in enumerate(rows, 1):
            self._out.write(",\n" if count > 1 else "\n")
            self._out.write(row)
        self._out.write("]</script>\n")
        return count

    def _part(self, kind: str, value: Any) -> None:
        self._out.write(f'<script type="application/json" data-part="{kind}">{_safe(value)}</script>\n')


def asset(name: str) -> str:
    """Return the text of a file of this folder."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _safe(value: Any) -> str:
    """Return ``value`` as JSON that is the same inside of a script element: there, only a ``<`` can begin something else."""
    return json_text(value).replace("<", r"\u003c")


def _trust(answer: Answer) -> dict[str, str] | None:
    if answer.trust is None:
        return None
    verdict = answer.trust.verdict.label
    return {"verdict": verdict, "text": line(answer.trust, answer.names).removeprefix(f"coverage: {verdict}").strip(" ,")}


def _doubt(answer: Answer) -> str:
    """Return how an empty answer is shown: blank where a table was not recorded at all."""
    if answer.trust is None or answer.trust.is_complete:
        return ""
    return "blank" if answer.trust.verdict.label == "not recorded" else "doubt"


def _columns(answer: Answer) -> list[dict[str, Any]]:
    declared = {column.name: column for column in answer.report.header.columns} if answer.report.header else {}
    columns = []
    for field in answer.fields:
        column = declared.get(field.name)
        columns.append(
            {
                "name": printable(field.name),
                "unit": _unit(column) if column else "",
                "doc": printable(column.doc) if column else "",
                "number": field.is_number,
                "bar": field.is_number and field.name in answer.bars,
            }
        )
    return columns


def _unit(column: Column) -> str:
    """Return the unit of a column where its name does not say it already; that of a time is how fine it is."""
    told = column.unit == "-" or column.name.endswith(f"_{column.unit}") or column.type.startswith("TIMESTAMP")
    return "" if told else printable(column.unit)


def _fitting(rows: Iterator[tuple[Any, ...]], fields: Sequence[Field], most_rows: int, most_bytes: int) -> Iterator[str]:
    numbers = [field.is_number for field in fields]
    size = 0
    for row in islice(rows, most_rows):
        text = _safe([_number(value) if is_number else _text(value) for value, is_number in zip(row, numbers, strict=True)])
        size += len(text)
        yield text
        if size > most_bytes:
            return


def _text(value: Any) -> str | None:
    return None if value is None else cell(value)


def _number(value: Any) -> Any:
    found = to_json(value)
    if found is None or (isinstance(found, int) and abs(found) > _EXACT_MAX):
        return _text(value)
    return found
