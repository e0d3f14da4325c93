"""Containers over time, and how much went wrong in them."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from analyzer.charts import Drawing, Frame, Panel, Row
from analyzer.drawing import AMBER, BLUE, data, lanes, time, timed

PANEL = Panel(
    60,
    "Containers",
    "From the birth of the first process in it to the last event.",
    "containers",
    ("containers", "container_connects"),
    nothing="There was no container.",
)

_MOST = 40
_LANE_PIXELS = 20


def draw(rows: Sequence[Row], frame: Frame) -> Drawing:
    """Return a bar a container."""
    marks = []
    for lane, row in enumerate(rows[:_MOST]):
        failed = row["failed"] + row["connects_failed"]
        marks.append(row | {"lane": lane, "from_s": max(0.0, row["started_s"] or 0), "to_s": row["last_s"], "wrong": failed > 0})
    axis, parameter = lanes([row["container"] or "" for row in rows[:_MOST]])
    bars = (
        alt.Chart(data(marks))
        .mark_bar(clip=True, height=_LANE_PIXELS - 8)
        .encode(
            x=time(),
            x2="to_s",
            y=alt.Y("lane:O", axis=axis),
            color=alt.condition("datum.wrong", alt.value(AMBER), alt.value(BLUE)),
            tooltip=["container:N", "runtime:N", "image:N", "processes:Q", "failed:Q", "connects:Q", "connects_failed:Q", "from_s:Q", "to_s:Q"],
        )
    )
    chart = timed(frame, bars, height=_LANE_PIXELS * len(marks)).add_params(parameter)
    left_out = f" {len(rows) - _MOST:,} more are in the table." if len(rows) > _MOST else ""
    return Drawing(chart, f"Amber: something failed in it.{left_out}")
