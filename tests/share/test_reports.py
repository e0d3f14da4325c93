"""Reports over a shared copy: other names, but as many rows, and groups of the same sizes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from analyzer.recording import open_recording
from analyzer.report import bundled, bundled_names
from analyzer.sandbox import open_sandbox
from tests.report_checks import run
from tests.rows import read_rows
from tests.share.conftest import POLICIES

Shape = dict[str, Any]


def shape(name: str, recording: Path) -> Shape:
    """Return of each column of a report its type, the sizes of its groups, how often it is NULL, and of numbers their values."""
    _, result, rows = run(bundled(name), open_recording(recording))
    found: Shape = {"": len(rows)}
    for number, field in enumerate(result.fields):
        counts = Counter(repr(row[number]) for row in rows)
        is_name = field.type == "VARCHAR" or field.name.startswith("uid")
        found[field.name] = (field.type, counts["None"], sorted(counts.values()), () if is_name else sorted(counts))
    return found


def without(shape: Shape, *types: str) -> Shape:
    return {name: found for name, found in shape.items() if name == "" or (found[0] not in types and "argv" not in name)}


@pytest.mark.parametrize("name", bundled_names())
def test_a_report_has_the_same_shape_before_and_after(name: str, recording: Path, copies: dict[str, Path]) -> None:
    before = shape(name, recording)
    after = {policy: shape(name, copies[policy]) for policy in POLICIES}
    assert before[""] > 0
    assert after["minimal"] == before
    # Of arguments only the program is left, or nothing; and strict has another date.
    assert without(after["standard"]) == without(before)
    assert without(after["strict"], "TIMESTAMP") == without(before, "TIMESTAMP")
    for column in [column for column in before if "argv" in column]:
        assert after["standard"][column][1] == before[column][1]
        assert after["strict"][column][1] == before[""]


def test_a_process_has_one_name_in_all_tables(copies: dict[str, Path]) -> None:
    """The program's name is in comm, in argv, and in the filter that was asked for: the same token in all of them."""
    with open_sandbox([open_recording(copies["standard"])]) as sandbox:
        joined = sandbox.rows("SELECT count(*) FROM exec WHERE argv[1] = comm AND comm LIKE 'prog-%'", ["exec"])
        original = [row for row in read_rows()["exec"] if row["argv"] and row["argv"][0] == row["comm"]]
        assert joined == [(len(original),)]
        pairs = "SELECT count(DISTINCT c.comm) FROM tcp_connect c JOIN exec e ON e.pid = c.pid AND e.start_ns = c.start_ns AND e.comm = c.comm"
        assert sandbox.rows(pairs, ["tcp_connect", "exec"])[0][0] > 1
