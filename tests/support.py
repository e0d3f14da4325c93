"""What tests of several folders share: the commands of this environment, run the way a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Cli:
    """Runs console scripts of one environment as subprocesses, without a shell.

    ``scripts`` is the folder that holds them; by default that of the Python which runs the tests.
    """

    scripts: Path = Path(sys.executable).parent

    def path(self, name: str) -> Path:
        """Return the path of the console script called ``name``."""
        return self.scripts / name

    def __call__(
        self,
        name: str,
        *arguments: str | Path,
        cwd: Path = REPO,
        env: dict[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``name`` with ``arguments`` in ``cwd`` and return its status and output; ``env`` is added to the environment.

        Output is 120 columns wide and without colour, unless ``env`` says otherwise.
        """
        return subprocess.run(
            [str(self.path(name)), *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1", **(env or {})},
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
