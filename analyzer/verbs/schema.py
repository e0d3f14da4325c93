"""``bpftape schema``."""

from __future__ import annotations

from typing import Annotated

import typer

from analyzer.options import Json, complete_table

EXAMPLES = {"Which tables there are": "bpftape schema", "The columns of one, with types and units": "bpftape schema tcp_connect"}


def schema(
    table: Annotated[str | None, typer.Argument(help="Show this table's columns.", autocompletion=complete_table, show_default=False)] = None,
    json: Json = False,
) -> None:
    """Say which tables a recording has, or which columns a table has: type, meaning and unit of each. No recording is needed."""
    from analyzer import schema
    from analyzer.tell import tell
    from recorder.schema import TABLES

    tables = [schema.table(table)] if table is not None else list(TABLES.values())
    tell(json, lambda: schema.as_json(tables), lambda: schema.explain(*tables) if table is not None else schema.listing(tables))
