"""The README shows what is really printed: each console block is run and compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"```console\n\$ (?P<command>[^\n]+)\n(?P<output>.*?)```", re.DOTALL)


def _printed(command: str, repo: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        environment.pop(name, None)
    done = subprocess.run(["sh", "-c", f"{command} 2>&1"], cwd=repo, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def test_readme_commands_print_what_the_readme_shows(repo: Path, update_golden: bool) -> None:
    readme = repo / "README.md"
    text = readme.read_text()
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) == text.count("```console") >= 5
    fresh = BLOCK.sub(lambda block: f"```console\n$ {block['command']}\n{_printed(block['command'], repo)}```", text)
    if update_golden:
        readme.write_text(fresh)
    assert readme.read_text() == fresh
