"""A folder with a file for each table, written by one of the formats that answers have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer import render
from analyzer.answer import ask
from analyzer.report import Report

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox


def tables(sandbox: Sandbox) -> list[str]:
    """Return the tables that the recording, or any part of a merged one, has rows of."""
    return sorted({table for recording in sandbox.recordings for table, segments in recording.tables.items() if segments})


def select(table: str) -> Report:
    """Return the report that is all of a table."""
    return Report(table, f"SELECT * FROM {table}")


def write_files(sandbox: Sandbox, target: Path, form: str) -> str:
    """Write each table into a file of the folder ``target``."""
    target.mkdir(mode=0o700)
    rows, names = 0, tables(sandbox)
    for table in names:
        with (target / f"{table}.{form}").open("x", encoding="utf-8", newline="") as out:
            rows += render.load(form).write(ask(sandbox, select(table), {}), out, None)
            out.flush()
            os.fsync(out.fileno())
    return f"{len(names)} tables, {rows:,} rows"
