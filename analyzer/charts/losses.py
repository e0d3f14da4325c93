"""What is not in the recording: events lost, and tracers that were not attached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import altair as alt

from analyzer.charts import Drawing, Frame, Panel, Row
from analyzer.drawing import AMBER, GREY, data, lanes, time, timed

PANEL = Panel(
    90,
    "Losses",
    "When events were lost or tracers not attached, by table.",
    "losses",
    ("losses", "probes", "recorder_cost"),
    nothing="Nothing was lost, and what was asked for was attached all the time.",
)

_LANE_PIXELS = 22


def draw(rows: Sequence[Row], frame: Frame) -> Drawing:
    """Return a lane a table."""
    tables = sorted({row["table"] for row in rows})
    axis, parameter = lanes(tables)
    bars = (
        alt.Chart(data(row | {"lane": tables.index(row["table"])} for row in rows))
        .mark_bar(clip=True, height=_LANE_PIXELS - 8)
        .encode(
            x=time(),
            x2="to_s",
            y=alt.Y("lane:O", axis=axis),
            color=alt.Color("what:N", scale=alt.Scale(domain=["lost", "not attached"], range=[AMBER, GREY]), legend=alt.Legend(title=None)),
            tooltip=["table:N", "what:N", "lost:Q", "events:Q", "percent:Q", "from_s:Q", "to_s:Q"],
        )
    )
    return Drawing(timed(replace(frame, spans=()), bars, height=_LANE_PIXELS * len(tables)).add_params(parameter))
