"""The command ``bpftape``: the analyzer's verbs on recordings, and the recorder's own on recordings and the host."""

from __future__ import annotations

from functools import partial

from analyzer.cli import run_app
from analyzer.verbs import add_verbs, app
from recorder import verbs
from recorder.console import fail
from recorder.errors import RecorderError

add_verbs(verbs.__name__, verbs.__path__)


def main() -> None:
    """Run ``bpftape``; errors of both sides end with a message, what to do next, and their exit code."""
    try:
        run_app(partial(app, prog_name="bpftape"))
    except RecorderError as error:
        fail(error)


if __name__ == "__main__":
    main()
