"""What a table's counters come to."""

from __future__ import annotations

import struct

import pytest

from recorder.bpf_program import BpfProgram


@pytest.mark.parametrize(
    ("left_out", "stood_in", "lost"),
    [(0, (0, 0), 3), (5, (0, 0), 8), (5, (2, 3), 3), (5, (1, 2), 5), (5, (4, 2), 3)],
    ids=["nothing left out", "nobody stood in", "all stood in for", "some stood in for", "more stood in for, as where a program is never attached"],
)
def test_what_was_left_out_and_not_stood_in_for_is_lost(left_out: int, stood_in: tuple[int, int], lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    program = object.__new__(BpfProgram)
    cpus = struct.pack("=6Q", 10, 1, stood_in[0], 20, 2, stood_in[1])
    monkeypatch.setattr(program, "per_cpu", lambda table, _: {"exec_counters": cpus}[table])
    monkeypatch.setattr(program, "misses", lambda function: {"first": left_out, "other": 100}[function])
    assert program.counters("exec", {"first"}) == (30, lost)
    assert program.counters("exec") == (30, 3)
