"""The dashboard of recordings: the report ``overview``, and below it charts and further reports of the same recordings.

All of it is asked through the answer's own sandbox, so that a page shows what the same SQL gives on a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from analyzer.errors import AnalyzerError, Exit
from analyzer.page.writer import Page, asset
from analyzer.report import bundled, of_chart
from analyzer.text import printable
from analyzer.values import objects

if TYPE_CHECKING:
    from analyzer.answer import Answer
    from analyzer.charts import Module, Span
    from analyzer.window import Window

REPORT = "overview"
"""The report whose page is the dashboard."""

# A page of all this is to be opened, and sent: three megabytes, of which Vega takes one.
_MOST_ROWS = 500
_MOST_BYTES = 60 << 10
_MOST_MARKS = 4_000
_MOST_RECORDINGS = 8


def write_dashboard(answer: Answer, out: TextIO) -> int:
    """Write the dashboard of the recordings of ``answer``, which is that of ``overview``; return the number of its rows.

    Raises AnalyzerError where the libraries are missing that draw charts.
    """
    try:
        from analyzer.charts import panels

        modules, vega = panels(), _vega()
    except ImportError as error:
        raise AnalyzerError(
            f"The dashboard needs altair and vl-convert-python, which are not installed ({error.name}).",
            f"{sys.executable} -m pip install altair vl-convert-python (the extra charts); make setup and make install bring them along.",
            Exit.OUTPUT,
        ) from None
    page = Page(out, [vega, asset("charts.js")])
    windows = [window for window in (answer.trust.windows if answer.trust else ()) if window.known and window.seconds > 0]
    notes = [] if len(windows) <= _MOST_RECORDINGS else [f"there are charts of the first {_MOST_RECORDINGS} recordings, and tables of all"]
    page.title(answer, ", ".join(answer.names.values()) if len(answer.names) == 1 else f"{len(answer.names)} recordings", notes)
    page.section("tables", "What is in it", None)
    rows = page.table(answer, _MOST_ROWS, _MOST_BYTES)
    spans = _spans(answer)
    for name, module in modules:
        _write_panel(page, answer, name, module, windows[:_MOST_RECORDINGS], spans)
    page.end()
    return rows


def _write_panel(page: Page, answer: Answer, name: str, module: Module, windows: list[Window], spans: dict[str, list[Span]]) -> None:
    from analyzer.charts import Frame

    panel = module.PANEL
    marks = answer.also(of_chart(panel.marks))
    rows = objects(marks.result)
    kept = list(islice(rows, _MOST_MARKS))
    left_out = sum(1 for _ in rows)
    page.section(name, panel.title, marks, panel.lead, None if kept else panel.nothing, left_out)
    of_tables = {table.table for table in marks.trust.tables} if marks.trust else set()
    for window in windows:
        own = [row for row in kept if row["recording_id"] == window.recording]
        if own:
            frame = Frame(window.since_s, window.since_s + window.seconds, _of_tables(spans.get(window.recording, []), of_tables))
            drawing = module.draw(own, frame)
            page.chart(
                {
                    "recording": printable(answer.names[window.recording]),
                    "from": frame.from_s,
                    "to": frame.to_s,
                    "timed": panel.is_timed,
                    "tall": panel.is_tall,
                    "label": f"Chart: {panel.title}. {panel.lead} The tables below have the same in numbers.",
                    "shades": sorted({span.what for span in frame.spans}) if panel.is_timed else [],
                    "caption": drawing.caption,
                    "spec": drawing.chart.to_dict(),
                }
            )
    for table in panel.tables:
        page.table(answer.also(bundled(table)).for_eyes(), _MOST_ROWS, _MOST_BYTES, folded=True)


def _of_tables(spans: Collection[Span], tables: Collection[str]) -> list[Span]:
    """Return those of ``spans`` that are about ``tables``, or of drops, which any may be an effect of; all where ``tables`` need no tracer."""
    return [span for span in spans if not tables or span.table in tables or span.what == "dropped"]


def _spans(answer: Answer) -> dict[str, list[Span]]:
    """Return by recording when something is missing, and when packets were dropped."""
    from analyzer.charts import Span

    found: dict[str, list[Span]] = {}
    for row in objects(answer.also(bundled("losses")).result):
        what = row["what"]
        text = f"{row['table']}: {row['lost']:,} events lost" if what == "lost" else f"{row['table']}: {what}"
        found.setdefault(row["recording_id"], []).append(Span(row["table"], row["from_s"], row["to_s"], what, text))
    for row in objects(answer.also(bundled("xdp_drops")).result):
        own = found.setdefault(row["recording_id"], [])
        begin = row["second"]
        # Rows are in order of time: one of the second that follows, or of the same one, makes the last span longer.
        if own and own[-1].what == "dropped" and own[-1].to_s >= begin:
            begin = own.pop().from_s
        own.append(Span("xdp_drop", begin, row["second"] + 1, "dropped", "packets were dropped on purpose"))
    return found


def _vega() -> str:
    """Return the libraries as one script, which leaves nothing behind but what it puts into the window; it needs no network."""
    from vl_convert import javascript_bundle

    # The types that come with it do not know that it can be called without an argument.
    bundle = javascript_bundle().replace("</script", r"<\/script")  # type: ignore[call-arg]
    return f"/*\n{asset('licences.txt')}*/\n(() => {{\n{bundle}\n}})();"
