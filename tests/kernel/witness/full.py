"""Hold more than 50,000 events against each witness, and keep what came of it: ``make witness``.

Its name keeps it out of ``make test``, where tests/kernel/test_witness.py does the same with a few hundred.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.witness import results
from tests.kernel.witness.run import WITNESSES, run

WORKERS, ROUNDS = 2, 150
EVENTS = 50_000


@pytest.mark.parametrize("name", WITNESSES)
def test_recordings_and_witness_agree_on_more_than_50_000_events(name: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    seen = run([name], tmp_path, WORKERS, ROUNDS)[name]
    result = results.result(name, seen)
    results.keep(platform.release(), name, result)
    record_property(results.PROPERTY, json.dumps([platform.release(), name, result]))  # a virtual machine's own files are gone with it
    for agreement in (seen.whole, seen.followed):
        agreement.assert_whole()
    assert seen.seen.total() > EVENTS
