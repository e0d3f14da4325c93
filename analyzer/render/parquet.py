"""Parquet, for pandas, Spark, DuckDB and all that reads it: columns and types of the result, and in the file's metadata what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from analyzer.answer import Answer
from analyzer.errors import AnalyzerError
from analyzer.render import Traits
from analyzer.values import json_text, unique
from analyzer.wording import as_json

if TYPE_CHECKING:
    import pyarrow as pa

TRAITS = Traits("a Parquet file, for pandas, Spark and DuckDB", needs_file=True, arrow=True)

_ROW_GROUP_ROWS = 100_000


def write(answer: Answer, out: TextIO, width: int | None) -> int:  # noqa: ARG001 - a file has no width
    """Write ``answer`` to ``out`` and return its number of rows; the metadata key ``bpftape.coverage`` has what JSON has as ``coverage``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = answer.result.arrow
    assert found is not None, "TRAITS ask for it"
    coverage = json_text(as_json(answer.trust, answer.names, answer.notes))
    schema = pa.schema(found.schema).with_metadata({"bpftape.coverage": coverage})
    schema = pa.schema([field.with_name(name) for field, name in zip(schema, unique(schema.names), strict=True)], schema.metadata)
    _check(answer, schema)
    rows = held = 0
    waiting: list[pa.RecordBatch] = []
    with pq.ParquetWriter(out.buffer, schema, compression="zstd") as writer:
        for batch in found.batches:
            waiting.append(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            held += batch.num_rows
            if held >= _ROW_GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(waiting, schema))
                rows, held, waiting = rows + held, 0, []
        writer.write_table(pa.Table.from_batches(waiting, schema))
    return rows + held


def _check(answer: Answer, schema: pa.Schema) -> None:
    import pyarrow as pa

    for field, column in zip(schema, answer.fields, strict=True):
        if pa.types.is_interval(field.type) or pa.types.is_dictionary(field.type):
            raise AnalyzerError(f"Parquet has no {column.type}: column {column.name} cannot be written.", "Cast it: CAST(… AS VARCHAR)")
