"""What a recording says of itself to whoever runs it: while it is under way, and at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from recorder.errors import RecorderError


@dataclass(slots=True)
class Progress:
    """Where a recording stands, by table."""

    seconds: float
    events: dict[str, int]
    lost: dict[str, int]
    bytes: int


@dataclass(slots=True)
class Result:
    """How a recording ended."""

    path: Path
    seconds: float
    rows: dict[str, int]
    lost: dict[str, int]
    bytes: int
    end_reason: str
    failed_probes: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    """Packets dropped on purpose, by rule and interface."""
    failure: RecorderError | None = None
    command_status: int | None = None
