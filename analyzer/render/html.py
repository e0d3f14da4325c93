"""HTML: one file that needs no network, with what the answer rests on above it, and a table to sort and to filter.

The report ``overview`` is a dashboard: its page has charts and further reports of the same recordings, too.
"""

from __future__ import annotations

from typing import TextIO

from analyzer.answer import Answer
from analyzer.dashboard import REPORT, write_dashboard
from analyzer.page.writer import Page
from analyzer.render import Traits

TRAITS = Traits("a page of one file, for a browser; of overview a dashboard", for_eyes=True, tells_trust=True, needs_file=True)

# What a browser still shows at once.
_MOST_ROWS = 20_000
_MOST_BYTES = 8 << 20


def write(answer: Answer, out: TextIO, width: int | None) -> int:  # noqa: ARG001 - a page is as wide as its window
    """Write ``answer`` to ``out`` and return its number of rows; those that a page does not take are counted, and it says so."""
    if answer.report.name == REPORT:
        return write_dashboard(answer, out)
    header, name = answer.report.header, answer.report.name
    page = Page(out, ())
    page.title(answer, header.title if header and header.title else "SQL" if name == "--sql" else name)
    page.section("answer", "", None)
    rows = page.table(answer, _MOST_ROWS, _MOST_BYTES)
    page.end()
    return rows
