"""What the dashboard shows: one module a panel, each with ``PANEL`` and ``draw(rows, frame)``. The folder is the list of panels.

The modules import altair, which is an extra: nothing but the dashboard imports them, and it can do without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import altair as alt

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    """One section of the dashboard.

    ``place`` orders them. ``marks`` names the report that gives the chart's rows: one in queries/charts/, else a bundled one. ``tables`` are bundled
    reports whose rows stand below. ``is_timed``: the x axis is the time of the recording. ``nothing`` is what no rows mean where that is known.
    """

    place: int
    title: str
    lead: str
    marks: str
    tables: tuple[str, ...] = ()
    is_timed: bool = True
    is_tall: bool = False
    nothing: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which rows of a table are missing, or packets were dropped. ``what``: not attached, lost or dropped; ``text`` says more."""

    table: str
    from_s: float
    to_s: float
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What a chart is drawn over: a time of one recording, in seconds from its start, and the spans of it that are shaded."""

    from_s: float
    to_s: float
    spans: Sequence[Span] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart, and a sentence below it."""

    chart: alt.Chart | alt.LayerChart | alt.FacetChart
    caption: str = ""


class Module(Protocol):
    """What each module of a panel is."""

    PANEL: Panel

    def draw(self, rows: Sequence[Row], frame: Frame) -> Drawing:
        """Return a chart of ``rows``, of which there is one at least, all of one recording."""


def panels() -> list[tuple[str, Module]]:
    """Return the modules of all panels with their names, in the order of the page; raise ImportError without altair."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    found = [(name, cast("Module", import_module(f"analyzer.charts.{name}"))) for name in names]
    return sorted(found, key=lambda item: item[1].PANEL.place)
