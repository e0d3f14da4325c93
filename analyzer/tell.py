"""How a verb says what it found or made: as text for people, or with ``--json`` as one JSON document for programs. All else goes to stderr."""

from __future__ import annotations

from collections.abc import Callable

from analyzer.output import say
from analyzer.values import json_document


def tell(json: bool, as_json: Callable[[], object], as_text: Callable[[], str]) -> None:
    """Print one of both on stdout."""
    say(json_document(as_json()) if json else as_text())
