"""Hold more than 50,000 events against each witness, and keep what came of it: ``make witness``.

Its name keeps it out of ``make test``, where tests/kernel/test_witness.py does the same with a few hundred.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.witness import results
from tests.kernel.witness.run import WITNESSES, run

WORKERS, ROUNDS = 2, 150
EVENTS = 50_000


@pytest.mark.parametrize("name", WITNESSES)
def test_recordings_and_witness_agree_on_more_than_50_000_events(name: str, tmp_path: Path) -> None:
    seen = run([name], tmp_path, WORKERS, ROUNDS)[name]
    results.keep(name, seen)
    for agreement in (seen.whole, seen.followed):
        agreement.assert_whole()
    assert seen.seen.total() > EVENTS
