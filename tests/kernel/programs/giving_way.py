"""Run the command that follows, ``record``, as on a kernel where tasks give way in the middle of programs.

With ``--left-out`` before it, those programs that others stand in for are not attached, as if the kernel left each of their runs out.
"""

import sys

from recorder import attach
from recorder.btf import Btf
from recorder.cli import main
from recorder.compilations import FOLLOW_PROBES
from recorder.tracers import all_tracers

typedef, attach_probe = Btf.typedef, attach._attach_probe
Btf.typedef = lambda self, name: 1 if name == "class_srcu_fast_notrace_t" else typedef(self, name)  # type: ignore[method-assign]
del sys.argv[0]
if sys.argv[0] == "--left-out":
    del sys.argv[0]
    probes = [*FOLLOW_PROBES, *(probe for tracer in all_tracers().values() for probe in tracer.probes)]
    stood_in = {(probe.hook, probe.tables) for probe in probes if probe.is_stand_in}
    attach._attach_probe = lambda attached, program, btf, probe, row: (
        0 if not probe.is_stand_in and (probe.hook, probe.tables) in stood_in else attach_probe(attached, program, btf, probe, row)
    )
main()
