"""Recordings that are shared copies: what their manifest says of it, and what then cannot be known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.errors import AnalyzerError, Exit

if TYPE_CHECKING:
    from analyzer.recording import Recording

KEY = "shared"
"""Key of the manifest's header."""

WRITTEN = "being_written"
"""Key in there, of a copy that was made while the recording was still being written."""

_NAME = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Shared:
    """How a copy was made.

    ``policy`` is the name of the policy; ``hides_addresses`` says that addresses are not those that were recorded; ``being_written`` that the
    recording was still being written, so that the copy has what was closed by then.
    """

    policy: str
    hides_addresses: bool
    being_written: bool = False


def shared(header: dict[str, Any]) -> Shared | None:
    """Return what the header of a manifest says of sharing; None where the recording is as it was recorded.

    It comes from a stranger: where it says something else than share writes, nothing in the recording is taken for what it was.
    """
    if KEY not in header:
        return None
    about = header[KEY] if isinstance(header[KEY], dict) else {}
    policy = about.get("policy")
    kinds, columns = about.get("kinds"), about.get("columns")
    being_written = about.get(WRITTEN) is True
    name = policy if isinstance(policy, str) and _NAME.fullmatch(policy) else "unknown"
    if name == "unknown" or not isinstance(kinds, dict) or not isinstance(columns, dict):
        return Shared(name, True, being_written)
    treated = [column for column in columns if str(column).rpartition(".")[2] in ("saddr", "daddr")]
    return Shared(name, kinds.get("address") != "keep" or bool(treated), being_written)


def refuse_networks(recordings: Iterable[Recording], title: str) -> None:
    """Raise AnalyzerError, with the code of what cannot be decided, where one of ``recordings`` does not have the addresses that were recorded."""
    for recording in recordings:
        if recording.shared and recording.shared.hides_addresses:
            raise AnalyzerError(
                f"{title}: in_cidr() cannot know: addresses in {recording.name} are pseudonyms (policy {recording.shared.policy}).",
                "Which addresses share a network can still be seen, and what they are is in saddr_scope and daddr_scope.",
                Exit.UNDECIDED,
            )


def note(recording: Recording) -> str | None:
    """Return what readers of a report should know about a copy; None where it is none."""
    if recording.shared is None:
        return None
    when = ", made while the recording was still being written" if recording.shared.being_written else ""
    return f"{recording.name} is a shared copy (policy {recording.shared.policy}){when}: names in it are pseudonyms"
