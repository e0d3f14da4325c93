"""The recording of fixtures/rows/, and copies of it that were shared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.share.run import Request, share
from analyzer.share.summary import Summary
from tests.rows import read_rows, write_recording

POLICIES = ("minimal", "standard", "strict")

Share = Callable[..., Summary]


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the recording that fixtures/rows/ tell, each table in two segments. Tests must not change it."""
    return write_recording(tmp_path_factory.mktemp("recording") / "web1_20260115T120000Z.bpftape", read_rows(), segments=2)


@pytest.fixture(scope="session")
def copies(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the copies under each built-in policy and one key. Tests must not change them."""
    folder = tmp_path_factory.mktemp("shared")
    for policy in POLICIES:
        share(Request(recording, folder / f"{policy}.bpftape", policy, folder / "key", False))
    return {policy: folder / f"{policy}.bpftape" for policy in POLICIES}
