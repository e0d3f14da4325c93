"""Results of ``make witness``: kept beside this file, by kernel and witness, and told as tables in SECURITY.md."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.kernel.witness.agreement import Agreement
from tests.kernel.witness.rules import of_perf, of_strace
from tests.kernel.witness.run import WITNESSES, Run
from tests.support import REPO

RESULTS = Path(__file__).with_name("results.json")
SECURITY = REPO / "SECURITY.md"
BEGIN, END = "<!-- witness -->\n", "<!-- /witness -->\n"
PROPERTY = "witness"
"""What it is called in pytest's XML, which is all that comes out of a virtual machine."""
KINDS = ("clone", "exec", "exit", "connect", "accept", "close")

Kept = dict[str, dict[str, Any]]
"""By kernel and witness."""


def read() -> Kept:
    """Return what is kept."""
    kept: Kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return kept


def result(name: str, run: Run) -> dict[str, Any]:
    """Return what is kept of a run under the witness called ``name``."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": WITNESSES[name].version(),
        "seen": {kind: run.seen[kind] for kind in KINDS},
        "whole": _told(run.whole),
        "followed": _told(run.followed),
        "lost": run.lost,
    }


def keep(kernel: str, name: str, result: Mapping[str, Any]) -> None:
    """Keep the :func:`result` of a run on ``kernel``, and tell it."""
    kept = read()
    kept.setdefault(kernel, {})[name] = dict(result)
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    before, after = SECURITY.read_text().split(BEGIN)[0], SECURITY.read_text().split(END)[1]
    SECURITY.write_text(before + BEGIN + table(kept) + END + after)


def _told(agreement: Agreement) -> dict[str, Any]:
    return {
        "matched": dict(agreement.matched),
        "explained": dict(agreement.explained),
        "unexplained": len(agreement.missing) + len(agreement.extra),
    }


def table(kept: Kept) -> str:
    """Return what SECURITY.md says of results: the runs, and the differences that had to be."""
    runs = [(kernel, name, result) for kernel, witnesses in kept.items() for name, result in witnesses.items()]
    lines = [
        f"| kernel | witness | events | {' | '.join(KINDS)} | the same | explained | not explained | lost |",
        "|---" * (len(KINDS) + 7) + "|",
        *(_run(kernel, name, result) for kernel, name, result in runs),
        "",
        "| difference | why | times |",
        "|---|---|---|",
        *_differences(runs),
    ]
    return "\n".join(lines) + "\n"


def _run(kernel: str, name: str, result: Mapping[str, Any]) -> str:
    both = result["whole"], result["followed"]
    cells = [kernel, f"{name} {result['version']}", sum(result["seen"].values()), *result["seen"].values()]
    cells += [
        " / ".join(f"{figure:,}" for figure in figures)
        for figures in (
            [sum(part["matched"].values()) for part in both],
            [sum(part["explained"].values()) for part in both],
            [part["unexplained"] for part in both],
        )
    ]
    return f"| {' | '.join(cell if isinstance(cell, str) else f'{cell:,}' for cell in [*cells, result['lost']])} |"


def _differences(runs: list[tuple[str, str, Mapping[str, Any]]]) -> Iterator[str]:
    for name, rules in (("strace", of_strace(Path(), None, 0)), ("perf", of_perf(None))):
        for rule in rules:
            times = [result[part]["explained"].get(rule.name, 0) for _, witness, result in runs if witness == name for part in ("whole", "followed")]
            yield f"| {rule.name} ({name}) | {rule.why} | {' / '.join(f'{count:,}' for count in times)} |"
