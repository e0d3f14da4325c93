"""Events of each table over time: a strip a table, each to the scale of its own peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import altair as alt

from analyzer.charts import Drawing, Frame, Panel, Row, Span
from analyzer.drawing import BLUE, SHADES, data, lanes, time, timed

PANEL = Panel(10, "Events", "How much happened when, by table. Each strip has a scale of its own.", "events", ("event_rate",))

_STRIP_PIXELS = 38
_SHARE = 0.82


def draw(rows: Sequence[Row], frame: Frame) -> Drawing:
    """Return strips of bars. Names of tables are data, a newer recorder's may be anything: no expression has them in its text."""
    names = sorted({row["table"] for row in rows})
    peaks = {name: max(row["per_second"] for row in rows if row["table"] == name) for name in names}
    marks = []
    for row in rows:
        base = len(names) - 1 - names.index(row["table"])
        height = _SHARE * row["per_second"] / peaks[row["table"]] if peaks[row["table"]] else 0
        marks.append(row | {"low": base, "high": base + height})
    labels = [f"{name}  {peaks[name]:,.0f}/s" for name in reversed(names)]
    axis, parameter = lanes(labels, values=list(range(len(names))), labelOffset=-_STRIP_PIXELS // 3)
    bars = (
        alt.Chart(data(marks))
        .mark_bar(color=BLUE, clip=True, binSpacing=0.5)
        .encode(
            x=time(),
            x2="to_s",
            y=alt.Y("low:Q", scale=alt.Scale(domain=[0, len(names)], nice=False), axis=axis),
            y2="high",
            tooltip=["table:N", "from_s:Q", "to_s:Q", "events:Q", "per_second:Q", "lost:Q"],
        )
    )
    gaps = [span for span in frame.spans if span.table in names]
    chart = timed(replace(frame, spans=()), *_shades(gaps, names), bars, height=_STRIP_PIXELS * len(names)).add_params(parameter)
    return Drawing(chart, "The number beside a table's name is its peak.")


def _shades(spans: Sequence[Span], names: Sequence[str]) -> list[alt.Chart]:
    """Return the shading, only in the strip of the table that it is about."""
    layers = []
    for what in sorted({span.what for span in spans}):
        lanes = [(len(names) - 1 - names.index(span.table), span) for span in spans if span.what == what]
        rows = [{"from_s": span.from_s, "to_s": span.to_s, "low": lane, "high": lane + 1, "missing": span.text} for lane, span in lanes]
        mark = alt.Chart(data(rows)).mark_rect(color=SHADES[what], opacity=0.35, clip=True)
        layers.append(mark.encode(x=time(), x2="to_s", y="low:Q", y2="high", tooltip=["missing:N", "from_s:Q", "to_s:Q"]))
    return layers
