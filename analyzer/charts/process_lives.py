"""Lives of processes, from birth to end."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from analyzer.charts import Drawing, Frame, Panel, Row
from analyzer.drawing import AMBER, BLUE, GREEN, RED, data, lanes, time, timed

PANEL = Panel(
    20,
    "Process lives",
    "From birth to end: the longest of those that began or ended meanwhile.",
    "process_lives",
    ("process_lifetimes", "failing_programs", "crashes", "processes"),
    is_tall=True,
)

_LANE_PIXELS = 13


def draw(rows: Sequence[Row], frame: Frame) -> Drawing:
    """Return a bar a process, in the order of their births."""
    marks = [row | {"lane": lane} for lane, row in enumerate(rows)]
    axis, parameter = lanes([f"{row['comm'] or '?'}  {row['pid']}" for row in rows], labelFontSize=10, ticks=False)
    lane = alt.Y("lane:O", axis=axis)
    colours = alt.Scale(domain=["ok", "failed", "killed", "running"], range=[GREEN, AMBER, RED, BLUE])
    colour = alt.Color("how:N", scale=colours, legend=alt.Legend(title=None))
    tooltip = ["comm:N", "pid:Q", "argv:N", "from_s:Q", "to_s:Q", "life_s:Q", "ended:N"]
    base = alt.Chart(data(marks))
    x = time(orient="top")
    bars = base.mark_bar(clip=True, height=_LANE_PIXELS - 4).encode(x=x, x2="to_s", y=lane, color=colour, tooltip=tooltip)
    # A life that is too short for a bar is a tick.
    births = base.mark_tick(clip=True, thickness=2, height=_LANE_PIXELS - 4).encode(x=x, y=lane, color=colour, tooltip=tooltip)
    chart = timed(frame, bars, births, height=_LANE_PIXELS * len(marks)).add_params(parameter)
    left_out = rows[0]["processes"] - len(rows)
    return Drawing(chart, f"{left_out:,} more, which lived less long, are not drawn." if left_out else "")
