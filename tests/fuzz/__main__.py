"""``make fuzz``: many inputs for every target, or for the ones that are named, and what came of it, which RESULTS.md keeps.

What fuzzing finds on the way is kept outside of the repository and is where the next run begins; ``--keep`` puts the least of it that takes the
same branches into ``corpus/``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.target import CORPUS, FOLDER, LONGEST_S, load, names
from tests.support import REPO

FOUND = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bpftape" / "fuzz"
RESULTS = FOLDER / "RESULTS.md"
LIMIT_MIB = 3_072
MEMORY = Path("/dev/shm")
INTERRUPTED = 72
"""What libFuzzer returns when SIGINT ends a run: what it did until then counts."""
KEPT_BYTES = 600
_HEAD = """# What fuzzing found

The last `make fuzz` of each target. Inputs are those of one run, after all that is kept was tried; crashes are what that run found: the
inputs of those that were found before, and mended, are the files `crash-…` of `corpus/`.

| target | inputs | seconds | inputs a second | branches | crashes | mended before |
|---|---:|---:|---:|---:|---:|---:|
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run."""

    inputs: int
    seconds: float
    branches: int
    crash: str


def _words(name: str, folder: Path) -> list[str]:
    """Write a target's words as libFuzzer's dictionary; return the option for it."""
    path = folder / "words"
    path.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in load(name).words if word))
    return [f"-dict={path}"] if load(name).words else []


def _command(name: str) -> Path:
    """Return a program that fuzzes a target: libFuzzer starts its first word again for a merge."""
    command = FOUND / name / "again"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.fuzz.long {name} "$@"\n')
    command.chmod(0o700)
    return command


def _run(words: list[str], **settings: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a fuzzer, which libFuzzer ends without clearing up. Its files are in memory where they can be, since disks take their time."""
    with tempfile.TemporaryDirectory(prefix="bpftape-fuzz-", dir=MEMORY if MEMORY.is_dir() else None) as scratch:
        return subprocess.run(words, cwd=REPO, env={**os.environ, "TMPDIR": scratch, "FUZZ_COMMAND": words[0]}, **settings)


def fuzz(name: str, runs: int, seed: int) -> Outcome:
    """Run a target in a process of its own, since what crashes it may take the process along."""
    target, folder = load(name), FOUND / name
    (folder / "inputs").mkdir(parents=True, exist_ok=True)
    (folder / "seeds").mkdir(exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (folder / "seeds" / str(number)).write_bytes(data)
    (CORPUS / name).mkdir(parents=True, exist_ok=True)
    options = {"runs": runs, "seed": seed, "max_len": target.longest, "timeout": LONGEST_S, "rss_limit_mb": LIMIT_MIB, "len_control": 0}
    words = [f"-{option}={value}" for option, value in options.items()] + [*_words(name, folder), f"-artifact_prefix={folder}/"]
    folders = [str(folder / "inputs"), str(CORPUS / name), str(folder / "seeds")]
    began = time.monotonic()
    done = _run([str(_command(name)), *words, *folders], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    counts = re.findall(r"^#(\d+)\s+\S+.*", text, re.MULTILINE)
    branches = re.findall(r"ft: (\d+)", text)
    written = re.search(r"Test unit written to (\S+)", text)
    crash = written[1] if written else "" if done.returncode in (0, INTERRUPTED) else f"status {done.returncode}"
    if crash:
        print(text[-6_000:], file=sys.stderr)
    return Outcome(int(counts[-1]) if counts else 0, time.monotonic() - began, int(branches[-1]) if branches else 0, crash)


def keep(name: str) -> None:
    """Put what a target's branches are taken by into the corpus, the shortest inputs first."""
    target = CORPUS / name
    sizes = [f"-max_len={KEPT_BYTES}", "-merge=1", f"-timeout={LONGEST_S}", f"-rss_limit_mb={LIMIT_MIB}"]
    folders = [str(target), str(FOUND / name / "inputs")]
    _run([str(_command(name)), *sizes, *folders], stderr=subprocess.DEVNULL, check=True)


def note(name: str, outcome: Outcome) -> None:
    """Enter a run in RESULTS.md."""
    mended = len(list((CORPUS / name).glob("crash-*")))
    rows = dict(re.findall(r"^(\| (\w+) \|.*)$", RESULTS.read_text(), re.MULTILINE)) if RESULTS.exists() else {}
    rows = {name: row for row, name in rows.items()}
    cells = (f"{outcome.inputs:,}", f"{outcome.seconds:.0f}", f"{outcome.inputs / outcome.seconds:,.0f}", f"{outcome.branches:,}")
    rows[name] = f"| {name} | {' | '.join(cells)} | {1 if outcome.crash else 0} | {mended} |"
    RESULTS.write_text(_HEAD + "".join(f"{rows[name]}\n" for name in sorted(rows) if name in names()))


def main() -> int:
    """Fuzz what was asked for; return 1 where something crashed."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(names())}; without any, all of them")
    parser.add_argument("--runs", type=int, default=100_000, help="inputs a target (100000)")
    parser.add_argument("--seed", type=int, default=0, help="where chance begins; 0 is another place each time")
    parser.add_argument("--keep", action="store_true", help="put what was found into the corpus, and the figures into RESULTS.md")
    given = parser.parse_args()
    if not importlib.util.find_spec("atheris"):
        print("fuzz: atheris does not install for this Python; what make test does of fuzzing needs only hypothesis", file=sys.stderr)
        return 69
    if strange := sorted(set(given.targets) - set(names())):
        parser.error(f"no target {', '.join(strange)}; there are {', '.join(names())}")
    crashes = 0
    for name in given.targets or names():
        outcome = fuzz(name, given.runs, given.seed)
        print(
            f"{name}: {outcome.inputs:,} inputs in {outcome.seconds:.0f} s, {outcome.branches:,} branches, {outcome.crash or 'no crash'}", flush=True
        )
        crashes += bool(outcome.crash)
        if given.keep:
            if not outcome.crash:
                keep(name)
            note(name, outcome)
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
