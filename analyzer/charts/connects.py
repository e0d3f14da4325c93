"""Connects over time, by how long they took and what came of them."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from analyzer.charts import Drawing, Frame, Panel, Row
from analyzer.drawing import AMBER, BLUE, GREY, RED, data, scale_axis, sizes, time, timed

PANEL = Panel(
    30,
    "Connects",
    "When they were made, how long they took (from SYN to outcome), and what came of them.",
    "connects",
    ("connect_latency", "connect_rate", "tcp_connects"),
)

OUTCOMES = alt.Scale(domain=["connected", "failed", "closed", "pending"], range=[BLUE, RED, AMBER, GREY])


def draw(rows: Sequence[Row], frame: Frame) -> Drawing:
    """Return a dot for all connects of about the same time, latency and outcome; those without a latency are ticks at the foot."""
    colour = alt.Color("outcome:N", scale=OUTCOMES, legend=alt.Legend(title=None))
    size = alt.Size("connects:Q", scale=sizes(row["connects"] for row in rows), legend=None)
    tooltip = ["outcome:N", "connects:Q", "from_ms:Q", "below_ms:Q", "from_s:Q", "to_s:Q"]
    known = [row | {"at_s": (row["from_s"] + row["to_s"]) / 2} for row in rows if row["from_ms"] is not None]
    unknown = [row | {"at_s": (row["from_s"] + row["to_s"]) / 2} for row in rows if row["from_ms"] is None]
    latency = alt.Y("from_ms:Q", scale=alt.Scale(type="log"), axis=scale_axis(labelExpr="format(datum.value, '~g') + ' ms'", tickCount=6))
    dots = alt.Chart(data(known)).mark_circle(opacity=0.75, clip=True).encode(x=time("at_s"), y=latency, color=colour, size=size, tooltip=tooltip)
    layers = [dots]
    if unknown:
        ticks = alt.Chart(data(unknown)).mark_point(shape="triangle-up", filled=True, size=60, clip=True)
        layers.append(ticks.encode(x=time("at_s"), y=alt.value(alt.ExprRef("height - 6")), color=colour, tooltip=tooltip))
    caption = "A larger dot is more connects. Triangles at the foot: no time is known." if unknown else "A larger dot is more connects."
    return Drawing(timed(frame, *layers, height=220), caption)
