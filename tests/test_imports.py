"""Which module may import which, and what starting a command costs: held against the source itself."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import REPO, Cli

HEAVY = {"bcc", "duckdb", "numpy", "pyarrow"}
LONGEST_MODULE = 300


def sources(folder: str) -> list[Path]:
    found = sorted((REPO / folder).rglob("*.py"))
    assert found, f"no Python file in {folder}/"
    return found


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of everything that ``path`` imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a name comes from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def below(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def test_the_analyzer_takes_nothing_from_the_recorder_but_its_schema() -> None:
    taken = {(path.name, name) for path in sources("analyzer") for name in imports(path) if below(name, "recorder")}
    assert taken, "the schema is the contract of both sides: somebody must import it"
    assert {entry for entry in taken if not below(entry[1], "recorder.schema")} == set()


def test_only_one_module_imports_bcc() -> None:
    importers = {
        str(path.relative_to(REPO)) for folder in ("recorder", "analyzer") for path in sources(folder) if any(below(n, "bcc") for n in imports(path))
    }
    assert importers == {"recorder/compiler.py"}


def test_the_schema_costs_nothing_at_start() -> None:
    code = "import sys, recorder.schema; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert "recorder.schema" in loaded
    assert HEAVY & set(loaded) == set()


@pytest.mark.parametrize("command", ["record", "analyze", "bpftape"])
def test_help_and_completion_import_nothing_heavy(command: str, cli: Cli) -> None:
    completion = {f"_{command.upper()}_COMPLETE": "complete_bash", "COMP_WORDS": f"{command} --", "COMP_CWORD": "1"}
    for arguments, added in ((["--help"], {}), ([], completion)):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", str(cli.path(command)), *arguments],
            env={**os.environ, **added},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stdout, done.stderr
        loaded = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in done.stderr.splitlines() if line.startswith("import time:")}
        assert "typer" in loaded
        assert HEAVY & loaded == set()


def test_modules_stay_small() -> None:
    lengths = {str(path.relative_to(REPO)): len(path.read_text().splitlines()) for folder in ("recorder", "analyzer") for path in sources(folder)}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}
