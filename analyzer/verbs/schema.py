"""``bpftape schema``."""

from __future__ import annotations

from typing import Annotated

import typer

from analyzer.options import Json, complete_readable

EXAMPLES = {"Which tables there are": "bpftape schema", "The columns of one, with types and units": "bpftape schema tcp_connect"}


def schema(
    table: Annotated[str | None, typer.Argument(help="Show this table's columns.", autocompletion=complete_readable, show_default=False)] = None,
    json: Json = False,
) -> None:
    """Say which tables a recording has, and which views of these, or which columns one has: type, meaning and unit. No recording is needed."""
    from analyzer import schema
    from analyzer.tell import tell

    found = [schema.readable(table)] if table is not None else schema.all_readable()
    tell(json, lambda: schema.as_json(found), lambda: schema.explain(*found) if table is not None else schema.listing(found))
