"""Failures over time: processes that ended badly, and connects that failed."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from analyzer.charts import Drawing, Frame, Panel, Row
from analyzer.drawing import AMBER, RED, data, lanes, sizes, time, timed

PANEL = Panel(
    50,
    "Failures",
    "Processes that ended with another code than 0 or by a signal, and connects that failed.",
    "failures",
    ("connect_failures", "failing_programs", "connection_errors"),
    nothing="No process ended badly and no connect failed.",
)

_LANE_PIXELS = 22


def draw(rows: Sequence[Row], frame: Frame) -> Drawing:
    """Return a lane a kind of failure, with a dot for those of about the same time."""
    marks = [row | {"at_s": (row["from_s"] + row["to_s"]) / 2, "what": f"{row['kind']} {row['failure']}"} for row in rows]
    kinds = sorted({row["what"] for row in marks})
    marks = [row | {"lane": kinds.index(row["what"])} for row in marks]
    axis, parameter = lanes(kinds)
    dots = (
        alt.Chart(data(marks))
        .mark_circle(clip=True, opacity=0.8)
        .encode(
            x=time("at_s"),
            y=alt.Y("lane:O", axis=axis),
            size=alt.Size("failures:Q", scale=sizes(row["failures"] for row in rows), legend=None),
            color=alt.Color("kind:N", legend=None, scale=alt.Scale(domain=["process", "connect"], range=[AMBER, RED])),
            tooltip=["what:N", "failures:Q", "from_s:Q", "to_s:Q"],
        )
    )
    return Drawing(timed(frame, dots, height=_LANE_PIXELS * len(kinds)).add_params(parameter), "A larger dot is more failures.")
