"""Start a command.

Importing takes some tenths of a second. Until the command can handle Ctrl-C itself, that ends it as it ends any program, without Python's traceback.
"""

from __future__ import annotations

import importlib
import signal


def launch(module: str) -> None:
    """Import the ``module`` of a command and run its ``main()``."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # else it is ignored, and stays so
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    main = importlib.import_module(module).main
    signal.signal(signal.SIGINT, usual)
    main()


def analyze() -> None:
    """Run ``analyze``."""
    launch("analyzer.cli")
