"""A folder of jsonl files, one a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.exporting._tables import write_files

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

DOC = "JSON lines, a file a table, for jq and log pipelines"
SUFFIX = ".jsonl"


def write(sandbox: Sandbox, target: Path) -> str:
    """Write the recording's tables into the folder ``target``."""
    return write_files(sandbox, target, "jsonl")
