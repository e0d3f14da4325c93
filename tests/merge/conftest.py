"""Recordings of two hosts, and both in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.merge.hosts import BEGIN_NS, LATER_NS, apart, connection, host, write

MS = 1_000_000

SEEN = [connection("web1", "db1", number, BEGIN_NS + number * 100 * MS) for number in range(1, 23)]
SEEN += [connection("db1", "web1", 100 + number, BEGIN_NS + number * 100 * MS, back_ns=300_000) for number in range(1, 8)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return recordings of web1 and db1, whose wall clock is an hour fast; tests must not change them."""
    folder = tmp_path_factory.mktemp("pair")
    later = apart(host("db1", SEEN), LATER_NS, 3_600_000 * MS)
    return [write(folder, "web1", host("web1", SEEN), 1), write(folder, "db1", later, 2)]
