"""Other tools that watched the same processes and connections saw what the recording says of them, all of it and nothing else.

A few hundred events; ``make witness`` has more than 100,000. Rules for differences are in tests/kernel/witness/rules.py.
"""

from __future__ import annotations

import pytest

from tests.kernel.witness.run import WITNESSES, Run, run

RARE = {"reset before", "nobody's, filtered", "not told", "not shown"}
"""Rules of what happens by chance."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    return run(["perf", "strace"], tmp_path_factory.mktemp("witness"), workers=2, rounds=1)


@pytest.fixture(params=WITNESSES)
def seen(request: pytest.FixtureRequest, both: dict[str, Run]) -> Run:
    return both[request.param]


def test_the_recording_of_the_whole_machine_has_what_the_witness_saw_and_no_more(seen: Run) -> None:
    seen.whole.assert_whole()


def test_so_has_the_recording_that_follows_the_command(seen: Run) -> None:
    seen.followed.assert_whole()


def test_it_saw_all_kinds_of_events_and_each_rule_was_needed(seen: Run) -> None:
    kinds = {"clone", "exec", "exit", "connect", "close"}
    assert kinds <= {kind for kind, count in seen.seen.items() if count > 20}
    assert seen.seen.total() > 400
    unused = {rule for rule, count in seen.whole.explained.items() if not count + seen.followed.explained[rule]}
    assert unused <= RARE
