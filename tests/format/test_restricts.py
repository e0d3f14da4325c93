"""Which filters of a recording say that rows of a table may be missing."""

from __future__ import annotations

import pytest

from recorder.schema import restricts


@pytest.mark.parametrize(
    ("word", "tables"),
    [
        ("comm=nginx", {"clone", "tcp_connect"}),
        ("follow-children", {"clone", "tcp_connect"}),
        ("port=443", {"tcp_connect"}),
        ("daddr=10.0.0.0/8", {"tcp_connect"}),
        ("family=4", {"tcp_connect"}),
        ("container=web", {"clone", "tcp_connect", "container"}),
        ("containers-only", {"clone", "tcp_connect", "container"}),
        ("cgroup=/a", {"clone", "tcp_connect", "container"}),
    ],
)
def test_a_filter_restricts_these_tables(word: str, tables: set[str]) -> None:
    assert {table for table in ("clone", "tcp_connect", "container", "coverage") if restricts(word, table)} == tables
