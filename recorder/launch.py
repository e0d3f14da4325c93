"""Start the commands of this side."""

from __future__ import annotations

from analyzer.launch import launch


def record() -> None:
    """Run ``record``."""
    launch("recorder.cli")


def bpftape() -> None:
    """Run ``bpftape``."""
    launch("recorder.bpftape")
