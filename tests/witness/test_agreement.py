"""A comparison with a witness finds each difference, and explains none that a rule is not about."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.kernel.witness.agreement import compare
from tests.kernel.witness.facts import Clone, Close, Connect, End, Exec, Exit, Fact, Process
from tests.kernel.witness.rules import of_perf, of_strace

ONE, OTHER = Process(100, 0), Process(100, 1)
HERE, THERE = End("127.0.0.1", 40_000), End("127.0.0.1", 80)
FACTS: list[Fact] = [
    Clone(ONE, 100, 101, Process(101, 0), 0x11),
    Clone(ONE, 100, 102, None, 0x3D0F00),
    Exec(ONE, "/bin/true", ("true",)),
    Exit(ONE, 3, None, False),
    Exit(OTHER, None, 9, False),
    Connect(ONE, 100, HERE, THERE, "connected", 0),
    Close(ONE, 100, "outbound", HERE, THERE),
]


def test_what_both_have_matches_whatever_its_order() -> None:
    found = compare(FACTS, reversed(FACTS), of_strace(Path(), None, 0))
    found.assert_whole()
    assert found.matched == {"clone": 2, "exec": 1, "exit": 2, "connect": 1, "close": 1}
    assert found.explained.total() == 0


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_that_one_of_them_lacks_or_has_twice_is_found(fact: Fact) -> None:
    rest = [other for other in FACTS if other != fact]
    for rules in (of_strace(Path(), None, 0), of_perf(None)):
        assert compare(FACTS, rest, rules).missing == [fact]
        assert compare(rest, FACTS, rules).extra == [fact]
        assert compare(FACTS, [*FACTS, fact], rules).extra == [fact]
    with pytest.raises(AssertionError, match="1 are missing and 0 are too many; 6 match"):
        compare(FACTS, rest, of_strace(Path(), None, 0)).assert_whole()


@pytest.mark.parametrize(
    ("witness", "recording"),
    [
        (Exit(ONE, 3, None, False), Exit(ONE, 4, None, False)),
        (Exit(ONE, 3, None, False), Exit(OTHER, 3, None, False)),
        (Exit(ONE, None, 9, False), Exit(ONE, None, 9, True)),
        (Clone(ONE, 100, 101, None, 0), Clone(ONE, 100, 101, None, 1)),
        (Clone(ONE, 100, 101, None, 0), Clone(ONE, 103, 101, None, 0)),
        (Exec(ONE, "a", ("a", "b")), Exec(ONE, "a", ("a",))),
        (Exec(ONE, "a", ("a",)), Exec(ONE, "b", ("a",))),
        (Exec(ONE, "descriptor 3", ("a",)), Exec(ONE, "/dev/fd/4", ("a",))),
        (Connect(ONE, 100, HERE, THERE, "failed", 111), Connect(ONE, 100, HERE, THERE, "failed", 110)),
        (Connect(ONE, 100, HERE, THERE, "failed", 111), Connect(ONE, 100, End("127.0.0.1", 1), THERE, "failed", 111)),
        (Connect(ONE, 100, None, THERE, "failed", 111), Connect(ONE, 100, HERE, THERE, "failed", 113)),
        (Connect(ONE, 100, HERE, THERE, "connected", 0), Connect(ONE, 101, HERE, THERE, "connected", 0)),
        (Close(ONE, 100, "inbound", HERE, THERE), Close(OTHER, 100, "inbound", HERE, THERE)),
    ],
)
def test_no_rule_explains_that_one_of_them_is_wrong(witness: Fact, recording: Fact) -> None:
    found = compare([witness], [recording], of_strace(Path(), None, 0))
    assert (found.missing, found.extra) == ([witness], [recording])


def test_each_rule_of_strace_explains_what_it_is_about_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh -e \nexit 3\n")
    long = ("x" * 3_000, "y" * 3_000)
    ends = Close(ONE, 100, "inbound", THERE, HERE)
    pairs: dict[str, tuple[Fact, Fact]] = {
        "interpreter": (Exec(ONE, "./script", ("name", "a")), Exec(ONE, "./script", ("/bin/sh", "-e", "./script", "a"))),
        "descriptor": (Exec(ONE, "descriptor 3", ("a",)), Exec(ONE, "/dev/fd/3", ("a",))),
        "4096 bytes": (Exec(ONE, "a", long), Exec(ONE, "a", (long[0], "y" * 1_095))),
        "local end": (Connect(ONE, 100, None, THERE, "failed", 111), Connect(ONE, 100, HERE, THERE, "failed", 111)),
        "reset before": (ends, replace(ends, process=None, tid=None)),
    }
    rules = of_strace(tmp_path, None, 0)
    found = compare([pair[0] for pair in pairs.values()], [pair[1] for pair in pairs.values()], rules)
    found.assert_whole()
    assert found.explained == {**dict.fromkeys(pairs, 1), "not accepted": 0, "nobody's, filtered": 0, "not told": 0}
    for witness, recording in pairs.values():
        assert len(compare([witness, witness], [recording], rules).missing) == 1, "each pair is counted once"


def test_what_perf_cannot_see_is_no_more_than_a_connect_that_sent_nothing() -> None:
    unsent = Connect(ONE, 100, None, THERE, None, None)
    sent = Connect(ONE, 100, HERE, THERE, None, None)
    found = compare([], [unsent, sent], of_perf(None))
    assert (found.explained["no SYN"], found.extra) == (1, [sent])


def test_of_perf_one_end_may_not_be_shown_that_both_recordings_have() -> None:
    ends: list[Fact] = [Close(ONE, 100, "outbound", End("127.0.0.1", port), THERE) for port in (1, 2)]
    found = compare([], ends, of_perf(None, ends))
    assert (found.extra, found.explained["not shown"]) == ([ends[1]], 1)
    assert compare([], ends[:1], of_perf(None, ends[1:])).extra == ends[:1]
    assert compare(ends[:1], [], of_perf(None, ends)).missing == ends[:1]


def test_what_a_filtered_recording_lacks_is_no_end_of_what_it_says_was_open() -> None:
    nobodys = Close(None, None, "inbound", THERE, HERE)
    for fact, of in ((nobodys, of_perf), (replace(nobodys, process=ONE, tid=100), partial(of_strace, Path(), lost=0))):
        assert compare([fact], [], of(frozenset())).missing == []
        assert compare([fact], [], of({(THERE, HERE)})).missing == [fact]
        assert compare([fact], [], of(None)).missing == [fact]
        assert compare([], [fact], of_perf(frozenset())).extra == [fact]


def test_no_more_ends_are_excused_than_the_recording_counts_as_lost() -> None:
    ends: list[Fact] = [Close(ONE, 100, "outbound", End("127.0.0.1", port), THERE) for port in range(3)]
    found = compare(ends, [], of_strace(Path(), None, 2))
    assert (found.explained["not told"], found.missing) == (2, ends[2:])
