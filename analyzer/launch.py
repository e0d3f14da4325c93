"""Start a command.

Importing takes some tenths of a second. Until the command can handle Ctrl-C itself, that ends it as it ends any program, without Python's traceback.
"""

from __future__ import annotations

import importlib.abc
import signal
import sys


class _Absent(importlib.abc.MetaPathFinder):
    """Keeps pandas out. pyarrow imports it to ask whether an array is one of its: 40 MB and 0.2 s that no command has a use for."""

    def find_spec(self, fullname: str, _: object, __: object = None) -> None:
        """Say that there is no pandas, and nothing of any other module."""
        if fullname == "pandas":
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def launch(module: str) -> None:
    """Import the ``module`` of a command and run its ``main()``."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # else it is ignored, and stays so
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.meta_path.insert(0, _Absent())
    main = importlib.import_module(module).main
    signal.signal(signal.SIGINT, usual)
    main()


def analyze() -> None:
    """Run ``analyze``."""
    launch("analyzer.cli")
