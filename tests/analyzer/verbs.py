"""Run verbs of ``bpftape`` as their entry point does, in this process: a table of many bad recordings would take minutes otherwise."""

from __future__ import annotations

import contextlib
import io
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

import recorder.bpftape  # noqa: F401 - adds the recorder's verbs
from analyzer.cli import run_app
from analyzer.verbs import app


def verb(*arguments: str | Path) -> CompletedProcess[str]:
    """Run ``bpftape`` with ``arguments`` and return its status and output."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    # What a process gives up is for one of its own.
    given_up = mock.patch("resource.setrlimit"), mock.patch("analyzer.landlock.version", return_value=0)
    with given_up[0], given_up[1], contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run_app(partial(app, [str(word) for word in arguments], prog_name="bpftape"))
        except SystemExit as end:
            code = int(end.code or 0)
    return CompletedProcess(list(arguments), code, out.getvalue(), err.getvalue())
