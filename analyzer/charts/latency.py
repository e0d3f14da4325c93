"""How the latencies of connects are distributed."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from analyzer.charts import Drawing, Frame, Panel, Row
from analyzer.drawing import AMBER, BLUE, GREEN, GREY, PURPLE, data

PANEL = Panel(
    40, "Latency of connects", "How many connects took how long, by where they went.", "latency_histogram", ("latency_histogram",), is_timed=False
)


_SCOPES = {"loopback": BLUE, "private": GREEN, "link_local": AMBER, "global": PURPLE, "other": GREY}
_LABEL = """datum.value < 1000 ? datum.value + ' us' : datum.value < 1000000 ? format(datum.value / 1000, '.2~r') + ' ms'
    : format(datum.value / 1000000, '.2~r') + ' s'"""


def draw(rows: Sequence[Row], frame: Frame) -> Drawing:  # noqa: ARG001 - not over time
    """Return a histogram whose parts double in width, on a logarithmic axis."""
    marks = []
    heights: dict[int, int] = {}
    for row in rows:
        low = heights.get(row["from_us"], 0)
        heights[row["from_us"]] = high = low + row["connects"]
        marks.append(row | {"scope": row["scope"] or "other", "left_us": max(row["from_us"], 0.5), "low": low, "high": high})
    # Where parts meet, and nowhere else; labels that do not fit are left out.
    bounds = sorted({bound for mark in marks for bound in (mark["left_us"], mark["below_us"])})
    axis = alt.Axis(title=None, values=bounds, labelExpr=_LABEL, labelOverlap="greedy")
    there = [scope for scope in _SCOPES if any(mark["scope"] == scope for mark in marks)]
    scopes = alt.Scale(domain=there, range=[_SCOPES[scope] for scope in there])
    heights_axis = alt.Y("low:Q", axis=alt.Axis(title="connects", tickCount=5), scale=alt.Scale(domainMax=1.05 * max(heights.values()), domainMin=0))
    bars = (
        alt.Chart(data(marks))
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X("left_us:Q", scale=alt.Scale(type="log", base=2, nice=False), axis=axis),
            x2="below_us",
            y=heights_axis,
            y2="high",
            color=alt.Color("scope:N", scale=scopes, legend=alt.Legend(title=None)),
            tooltip=["scope:N", "from_us:Q", "below_us:Q", "connects:Q", "percent:Q", "peers:Q"],
        )
    )
    return Drawing(bars.properties(width="container", height=170))
