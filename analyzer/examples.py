"""What the end of a ``--help`` shows: what somebody wants, and what to type for it. Manual pages are made of the same examples."""

from __future__ import annotations

from collections.abc import Mapping


def examples(wanted: Mapping[str, str]) -> str:
    """Return the examples as the end of a ``--help``, in rich's markup."""
    lines = (f"{what}: [bold]{command.replace('[', chr(92) + '[')}[/bold]" for what, command in wanted.items())
    return "\n\n".join(["[bold]Examples[/bold]", *lines])
