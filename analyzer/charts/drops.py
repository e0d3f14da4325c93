"""Packets that the recorder dropped on purpose, second by second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import altair as alt

from analyzer.charts import Drawing, Frame, Panel, Row
from analyzer.drawing import data, scale_axis, time, timed

PANEL = Panel(
    80,
    "Drops on purpose",
    "Packets that record --drop dropped, by rule; the other charts are shaded meanwhile.",
    "xdp_drops",
    ("xdp_drops", "during_drop"),
    nothing="No packet was dropped on purpose.",
)


def draw(rows: Sequence[Row], frame: Frame) -> Drawing:
    """Return bars of packets a second, stacked by rule."""
    marks = []
    heights: dict[int, int] = {}
    for row in rows:
        low = heights.get(row["second"], 0)
        heights[row["second"]] = high = low + row["packets"]
        rule = f"{row['rule']} on {row['interface']}"
        marks.append(row | {"from_s": row["second"], "to_s": row["second"] + 1, "low": low, "high": high, "what": rule})
    bars = (
        alt.Chart(data(marks))
        .mark_bar(clip=True, binSpacing=0.5)
        .encode(
            x=time(),
            x2="to_s",
            y=alt.Y("low:Q", axis=scale_axis(tickCount=5), scale=alt.Scale(domain=[0, 1.05 * max(heights.values())], nice=False)),
            y2="high",
            color=alt.Color("what:N", legend=alt.Legend(title=None)),
            tooltip=["what:N", "protocol:N", "type:Q", "code:Q", "from_s:Q", "packets:Q", "bytes:Q", "share_pct:Q"],
        )
    )
    return Drawing(timed(replace(frame, spans=()), bars, height=130), "Packets a second.")
