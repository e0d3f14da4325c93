"""Run the command that follows, ``record``, as on a kernel whose programs cannot read the registers of a task."""

import sys

import recorder.tracers.tcp
from recorder.cli import main

recorder.tracers.tcp.has_task_pt_regs = lambda btf: False  # noqa: ARG005 - mypy wants the name
del sys.argv[0]
main()
