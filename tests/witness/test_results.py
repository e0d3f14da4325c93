"""What SECURITY.md says of witnesses is what ``make witness`` has kept, and nothing in it is without an explanation."""

from __future__ import annotations

from tests.kernel.witness.full import EVENTS
from tests.kernel.witness.results import BEGIN, END, SECURITY, read, table
from tests.kernel.witness.run import WITNESSES

KEPT = read()


def test_security_says_what_was_kept() -> None:
    text = SECURITY.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == table(KEPT)


def test_every_event_was_matched_or_explained() -> None:
    for witnesses in KEPT.values():
        for result in witnesses.values():
            for part in (result["whole"], result["followed"]):
                assert part["unexplained"] == 0
                assert sum(part["matched"].values()) <= sum(result["seen"].values()) <= sum((*part["matched"].values(), *part["explained"].values()))


def test_the_witnesses_saw_more_than_100_000_events_on_each_of_two_kernels() -> None:
    seen = [[sum(result["seen"].values()) for result in witnesses.values()] for witnesses in KEPT.values()]
    assert [len(counts) == len(WITNESSES) and min(counts) > EVENTS and sum(counts) > 100_000 for counts in seen] == [True, True]
