"""Write the generated parts of FORMAT.md: ``python -m recorder.format_doc``, or ``--check`` to see whether they are fresh."""

from __future__ import annotations

import sys
from pathlib import Path

from recorder.schema import TABLES, Column, Encoding, Table, Type

FORMAT_MD = Path(__file__).with_name("FORMAT.md")
_CHECK = "--check"

READ_AS: dict[Type, tuple[str, str, str, str]] = {
    Type.BOOL: ("bool", "BOOLEAN", "BOOLEAN", "boolean"),
    Type.INT32: ("int32", "INT32", "INTEGER", "int"),
    Type.INT64: ("int64", "INT64", "BIGINT", "bigint"),
    Type.STRING: ("string", "BYTE_ARRAY, String", "VARCHAR", "string"),
    Type.CATEGORY: ("dictionary<values=string, indices=int32, ordered=0>", "BYTE_ARRAY, String", "VARCHAR", "string"),
    Type.STRINGS: ("list<element: string>", "LIST of BYTE_ARRAY, String", "VARCHAR[]", "array<string>"),
    Type.TIMESTAMP: ("timestamp[us]", "INT64, Timestamp (microseconds, not adjusted to UTC)", "TIMESTAMP", "timestamp_ntz (from Spark 3.4)"),
}
"""What each type is in Arrow, Parquet, DuckDB and Spark."""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def types() -> str:
    """Return the table of types."""
    rows = [_row(f"`{type_}`", *(f"`{name}`" for name in READ_AS[type_])) for type_ in Type]
    return "\n".join([_row("type", "Arrow", "Parquet", "DuckDB", "Spark"), "|---|---|---|---|---|", *rows])


def _column(column: Column) -> str:
    encoding = Encoding.PLAIN if column.type is Type.BOOL else column.encoding
    nullable = "yes" if column.nullable else ""
    return _row(f"`{column.name}`", f"`{column.type}`", column.unit or "", nullable, encoding.value, column.kind or "", column.doc)


def _table(table: Table) -> str:
    made_by = f"Made by the tracer `{table.tracer}`." if table.tracer else "Made by the recorder itself."
    if table.rewritten:
        made_by += " Written when the recording begins and again, whole, when it ends."
    if table.time:
        made_by += f" Its time is `{table.time}`."
    titles = _row("column", "type", "unit", "NULL", "encoding", "kind", "meaning")
    head = [f"### `{table.name}`", "", f"One row is {table.row}. {made_by}", "", titles]
    return "\n".join([*head, "|---|---|---|---|---|---|---|", *map(_column, table.columns)])


def tables() -> str:
    """Return the tables of columns, in the order of the schema."""
    return "\n\n".join(_table(table) for table in TABLES.values())


def fresh(text: str) -> str:
    """Return the text of FORMAT.md with its generated parts made anew; raise ValueError where a marker is missing."""
    for name, content in (("types", types()), ("tables", tables())):
        begin, end = f"<!-- {name}: begin, made by python -m recorder.format_doc -->", f"<!-- {name}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"FORMAT.md must have the line {begin} and the line {end}, once each")
        text = f"{text[: text.index(begin) + len(begin)]}\n{content}\n{text[text.index(end) :]}"
    return text


def main(arguments: list[str], path: Path = FORMAT_MD) -> int:
    """Write the file anew or, with --check, return 1 when it is stale."""
    if arguments not in ([], [_CHECK]):
        print(f"usage: python -m recorder.format_doc [{_CHECK}]", file=sys.stderr)
        return 2
    text = path.read_text("utf-8")
    made = fresh(text)
    if made == text:
        return 0
    if arguments == [_CHECK]:
        print(f"{path.name} is stale. Type: python -m recorder.format_doc", file=sys.stderr)
        return 1
    path.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
