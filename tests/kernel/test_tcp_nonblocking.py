"""Whoever does not wait for a connect hears of it later, in one of many ways, or never: it is one row all the same."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass

import pytest

from tests.kernel.harness import Recording, Row, recorder, run_program
from tests.kernel.net import assert_complete, namespace, of, only, tcp_program
from tests.kernel.programs.attempts import DROPPED, LATE

LATE_NS = 900_000_000  # a SYN is sent again after a second


@dataclass(frozen=True)
class Tried:
    recording: Recording
    attempts: list[Row]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    with namespace() as place, recorder(tmp_path_factory.mktemp("nonblocking") / "r.bpftape", "--tracers", "tcp") as running:
        ended = run_program(place.inside(*tcp_program("nonblocking")))
        recording = running.stop()
    assert ended.status == 0, ended
    return Tried(recording, json.loads(ended.output))


def by_port(rows: list[Row]) -> dict[int, list[tuple[str, int | None, int]]]:
    found = defaultdict(list)
    for row in rows:
        found[row["dport"]].append((row["outcome"], row["errno"], row["tid"]))
    return found


def test_all_attempts_are_one_row_each(tried: Tried) -> None:
    assert len(tried.attempts) == 38
    rows = of(tried.recording, "tcp_connect", pid={attempt["pid"] for attempt in tried.attempts})
    wrong = []
    for port, wanted in by_port(tried.attempts).items():
        cases = [attempt["case"] for attempt in tried.attempts if attempt["dport"] == port]
        if by_port(rows)[port] != wanted:
            wrong.append(f"{' / '.join(cases)}: {by_port(rows)[port]} and not {wanted}")
    assert not wrong, "\n".join(wrong)
    assert len(rows) == len(tried.attempts)
    assert_complete(tried.recording)


def test_a_late_handshake_takes_as_long_as_it_took(tried: Tried) -> None:
    for port in LATE[:4]:
        row = only(of(tried.recording, "tcp_connect", dport=port, pid=tried.attempts[0]["pid"]))
        assert row["ts_ns"] - row["syn_ns"] == row["latency_ns"] > LATE_NS


def test_who_gives_up_has_no_latency_and_the_time_of_the_syn(tried: Tried) -> None:
    rows = of(tried.recording, "tcp_connect", outcome="closed", pid=tried.attempts[0]["pid"])
    assert sorted(row["dport"] for row in rows) == [*DROPPED[:3], DROPPED[4]]
    for row in rows:
        assert row["latency_ns"] is None
        assert row["syn_ns"] <= row["ts_ns"]
        assert row["sport"] in range(32_768, 61_000)
