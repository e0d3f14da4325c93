"""What is left of a recording whose recorder did not end well: all that was closed, and words for what was not."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.kernel.harness import PATIENCE_SECONDS, Recording, Spawner, true_path
from tests.support import Cli

_PAUSE_SECONDS = 0.02


class Load(threading.Thread):
    """Has some hundred programs a second started, without end. ``pids`` has them in their order, once it has been stopped."""

    def __init__(self, spawner: Spawner, program: str | None = None) -> None:
        super().__init__(daemon=True)
        self._program = program or true_path()
        self.pids: list[int] = []
        self.spawner = spawner
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(_PAUSE_SECONDS):  # no more than a ring holds until it is emptied for the first time
            self.pids += self.spawner.spawn(5, self._program)

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join(PATIENCE_SECONDS)


def entered(path: Path) -> bytes:
    """Return the lines of a manifest that are whole."""
    try:
        text = (path / "manifest.jsonl").read_bytes()
    except FileNotFoundError:
        return b""
    return text[: text.rfind(b"\n") + 1]


def bpftape(verb: str, path: Path, *wrapper: str) -> subprocess.CompletedProcess[str]:
    """Run a verb of ``bpftape``, behind the words of ``wrapper``, to have what it says as JSON."""
    words = [*wrapper, str(Cli().path("bpftape")), verb, "--json", str(path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


def said(verb: str, path: Path, *wrapper: str) -> Any:
    """Return what a verb says that ends well."""
    done = bpftape(verb, path, *wrapper)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_says_what_is_missing(path: Path, before: bytes, load: Load, named: Path | None = None, wrapper: Sequence[str] = ()) -> str:
    """Hold that all is there that was closed, and that what was not is counted; return what there is.

    ``before`` is what the manifest had; ``named`` is what the recording is called behind the words of ``wrapper``.
    """
    recording, named = Recording(path), named or path
    if not entered(path):
        for verb in ("verify", "recover"):
            done = bpftape(verb, named, *wrapper)
            assert done.returncode == 65
            assert [line.split()[0] for line in done.stderr.splitlines()] == ["error:", "hint:"]
        return "nothing"
    assert entered(path).startswith(before)
    (found,) = said("verify", named, *wrapper)
    assert not found["damaged"], found
    done = said("recover", named, *wrapper)
    if not recording.table("recording"):  # the last thing that is written before it begins
        assert (found["state"], done["changed"]) == ("unfinished", False)
        return "an empty recording"
    recording.assert_consistent()
    assert said("recover", named, *wrapper)["changed"] is False
    assert found["state"] == ("whole" if recording.about()["clean_end"] else "unfinished")
    assert_rows_are_counted(recording, done, load)
    return f"a recording that is {found['state']}, {len(done['missing'])} gaps"


def assert_rows_are_counted(recording: Recording, done: Any, load: Load) -> None:
    """Hold that rows are missing at the end alone, as many as coverage had counted, and that ``recover`` said which."""
    rows = sorted(recording.table("exec"), key=lambda row: int(row["ts_ns"]))
    pids = [row["pid"] for row in rows if row["ppid"] == load.spawner.pid]
    begin = load.pids.index(pids[0]) if pids else 0
    assert pids == load.pids[begin : begin + len(pids)]
    counted, lost = sum(row["events"] for row in recording.rows("coverage", table="exec")), recording.lost("exec")
    gaps = [item for item in done["missing"] if item["table"] == "exec"]
    assert sum(item["rows"] or 0 for item in gaps) == lost
    if any(item["rows"] is None for item in gaps):  # coverage has gaps itself
        assert len(rows) + lost >= counted
    else:
        assert len(rows) + lost == max(counted, len(rows))
    assert (done["covered_to_ts"] is None) == (recording.about()["end_ns"] is not None)
