"""What exit codes mean, in the words of the README's table: a test holds the two against each other."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from analyzer.errors import Exit as AnalyzerExit
from recorder.errors import Exit as RecorderExit

MEANINGS = {
    0: "done",
    1: "an expectation failed, with `--require-complete` an answer is in doubt, or the leak check of `share` found something",
    2: "usage: unknown option, report, tracer or value; SQL that is refused or wrong",
    3: "an expectation could not be decided: too little was recorded, and none failed; or a report asks for networks over a shared copy",
    65: "the recording is missing, empty, foreign, damaged, or of a newer format",
    70: "BPF programs cannot be loaded; see `bpftape doctor`",
    73: "the output cannot be made",
    74: "I/O error, or the disk is full; what was closed before stays readable",
    77: "no permission",
    126: "the command to record could not be executed",
    127: "the command to record was not found",
    130: "ended by Ctrl-C",
}


def codes(module: str) -> list[int]:
    """Return the exit codes of a command whose function is in ``module``, in order."""
    enums: Iterable[type[IntEnum]] = (AnalyzerExit, RecorderExit)
    if module == "recorder.cli":
        enums = (RecorderExit,)
    elif not module.startswith("recorder."):
        enums = (AnalyzerExit,)
    wanted = {int(code) for enum in enums for code in enum}
    return sorted(wanted if module == "recorder.cli" else wanted - {RecorderExit.COMMAND_NOT_EXECUTABLE, RecorderExit.COMMAND_NOT_FOUND})
