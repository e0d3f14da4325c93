"""What charts share: colours, the axis of time, the shading of what is missing, rows as Vega-Lite takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from analyzer.charts import Frame, Span
from analyzer.grid import cell
from analyzer.text import printable

Layered = alt.LayerChart | alt.FacetChart
"""What altair says that layers are; none of these is a facet."""

BLUE = "#3d8bd0"
GREEN = "#3f9b68"
RED = "#d9534a"
AMBER = "#d9902f"
PURPLE = "#b05fc4"
GREY = "#8a929a"
"""Colours that can be told from each other and from a white and a black ground."""

SHADES = {"not attached": GREY, "lost": AMBER, "dropped": PURPLE}
"""How spans are shaded, by what they are; page.css has the same colours for its key."""

_LONGEST_TEXT = 200
# All charts over time begin at the same place of the page.
_LEFT_PIXELS = 170
_LEFT: dict[str, Any] = {"minExtent": _LEFT_PIXELS, "maxExtent": _LEFT_PIXELS}


def data(rows: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    """Return ``rows`` as data of a chart; their text has no control characters, and is not longer than a tooltip takes."""
    return alt.InlineData(values=[{name: _plain(value) for name, value in row.items()} for row in rows])


def shortened(text: str, longest: int) -> str:
    """Return ``text`` cut to so many characters, the last one a mark of the cut."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def lanes(labels: Sequence[str], **more: Any) -> tuple[alt.Axis, alt.Parameter]:
    """Return an axis that calls lane 0, 1, 2… by its label, and the parameter that it takes these from: data are no part of an expression."""
    axis = alt.Axis(title=None, labelExpr="labels[datum.value]", labelLimit=_LEFT_PIXELS - 10, grid=False, **_LEFT, **more)
    return axis, alt.param(name="labels", value=[shortened(printable(label), _LONGEST_TEXT) for label in labels])


def scale_axis(**more: Any) -> alt.Axis:
    """Return an axis of numbers for a chart over time."""
    return alt.Axis(title=None, **_LEFT, **more)


def sizes(counts: Iterable[int], least: float = 16, most: float = 260) -> alt.Scale:
    """Return a scale from the smallest mark, for one of something, to the largest; a few are small even where there are no more."""
    return alt.Scale(type="sqrt", domain=[1, max(20, *counts)], range=[least, most])


def time(field: str = "from_s", **more: Any) -> alt.X:
    """Return the axis of time; the page sets from_s and to_s, so that all charts show the same."""
    scale = alt.Scale(domain=[alt.ExprRef("from_s"), alt.ExprRef("to_s")], nice=False, zero=False)
    return alt.X(field, type="quantitative", scale=scale, axis=alt.Axis(title="seconds from the start", tickCount=8, **more))


def timed(frame: Frame, *layers: alt.Chart, height: int) -> Layered:
    """Return ``layers``, each with time() as x, over the shading of what is missing."""
    shades = [_shade(what, colour, frame.spans) for what, colour in SHADES.items() if any(span.what == what for span in frame.spans)]
    window = [alt.param(name="from_s", value=frame.from_s), alt.param(name="to_s", value=frame.to_s)]
    return alt.layer(*shades, *layers).add_params(*window).properties(width="container", height=height)


def _shade(what: str, colour: str, spans: Sequence[Span]) -> alt.Chart:
    rows = [{"from_s": span.from_s, "to_s": span.to_s, "missing": span.text} for span in spans if span.what == what]
    mark: alt.Chart = alt.Chart(data(rows)).mark_rect(color=colour, opacity=0.22, clip=True)
    return mark.encode(x=time(), x2="to_s", y=alt.value(0), y2=alt.value("height"), tooltip=["missing:N", "from_s:Q", "to_s:Q"])


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return shortened(printable(value), _LONGEST_TEXT)
    return shortened(cell(value), _LONGEST_TEXT) if isinstance(value, list) else value
