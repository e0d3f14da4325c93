"""Who talks to whom: clients to the left, services to the right, a line for what is between them."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from analyzer.charts import Drawing, Frame, Panel, Row
from analyzer.drawing import AMBER, BLUE, RED, data, shortened, sizes
from analyzer.text import printable

PANEL = Panel(70, "Service map", "Clients to the left, services to the right.", "service_map", ("service_map", "top_talkers"), is_timed=False)

_MOST = 40
_LANE_PIXELS = 26


def draw(rows: Sequence[Row], frame: Frame) -> Drawing:  # noqa: ARG001 - not over time
    """Return lines between two columns of names, as wide as there are many connections."""
    most = sorted(rows, key=lambda row: row["connections"] + row["failed"], reverse=True)[:_MOST]
    edges = [
        row | {"from": _label(row["client"], row["client_container"]), "to": f"{_label(row['server'], row['server_container'])} :{row['port']}"}
        for row in most
    ]
    left = _places([edge["from"] for edge in edges])
    right = _places([edge["to"] for edge in edges])
    lines = [
        edge
        | {"x": 0, "x2": 1, "y": left[edge["from"]], "y2": right[edge["to"]], "attempts": edge["connections"] + edge["failed"], "state": _state(edge)}
        for edge in edges
    ]
    x = alt.X("x:Q", scale=alt.Scale(domain=[-0.6, 1.6]), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[-0.5, max(len(left), len(right)) - 0.5], reverse=True, nice=False), axis=None)
    rules = (
        alt.Chart(data(lines))
        .mark_rule(opacity=0.7, strokeCap="round")
        .encode(
            x=x,
            x2="x2",
            y=y,
            y2="y2",
            size=alt.Size("attempts:Q", scale=sizes((line["attempts"] for line in lines), 2, 11), legend=None),
            color=alt.Color(
                "state:N",
                scale=alt.Scale(domain=["works", "some fail", "fails"], range=[BLUE, AMBER, RED]),
                legend=alt.Legend(title=None, symbolType="stroke", symbolStrokeWidth=4),
            ),
            tooltip=["from:N", "to:N", "connections:Q", "failed:Q", "p50_ms:Q", "bytes_sent:Q", "bytes_received:Q"],
        )
    )
    ends = [{"x": 0, "y": place, "name": name} for name, place in left.items()]
    ends_right = [{"x": 1, "y": place, "name": name} for name, place in right.items()]
    names = alt.Chart(data(ends)).mark_text(align="right", dx=-9, limit=320).encode(x=x, y=y, text="name:N")
    names_right = alt.Chart(data(ends_right)).mark_text(align="left", dx=9, limit=320).encode(x=x, y=y, text="name:N")
    chart = alt.layer(rules, names, names_right).properties(width="container", height=_LANE_PIXELS * max(len(left), len(right)))
    left_out = f" {len(rows) - _MOST:,} more pairs are in the table." if len(rows) > _MOST else ""
    return Drawing(chart, f"A wider line is more connections.{left_out}")


def _label(name: str | None, container: str | None) -> str:
    shown = shortened(printable(name or "?"), 28)
    return f"{shown} [{shortened(printable(container), 24)}]" if container else shown


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _state(edge: Row) -> str:
    if not edge["failed"]:
        return "works"
    return "some fail" if edge["connections"] else "fails"
