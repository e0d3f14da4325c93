"""Run the command that follows, ``record``, as on a kernel where tasks give way in the middle of programs.

With ``--left-out`` before it, those programs that others stand in for are not attached, as if the kernel left each of their runs out.
"""

import sys

from recorder.bpf_program import BpfProgram
from recorder.btf import Btf
from recorder.cli import main
from recorder.compilations import FOLLOW_PROBES
from recorder.tracers import all_tracers

typedef, attach_typed = Btf.typedef, BpfProgram.attach_typed
attach_raw_tracepoint, attach_tracepoint = BpfProgram.attach_raw_tracepoint, BpfProgram.attach_tracepoint
Btf.typedef = lambda self, name: 1 if name == "class_srcu_fast_notrace_t" else typedef(self, name)  # type: ignore[method-assign]
del sys.argv[0]
if sys.argv[0] == "--left-out":
    del sys.argv[0]
    probes = [*FOLLOW_PROBES, *(probe for tracer in all_tracers().values() for probe in tracer.probes)]
    stood_in = {(probe.hook, probe.tables) for probe in probes if probe.is_stand_in}
    left_out = {probe.function for probe in probes if (probe.hook, probe.tables) in stood_in and not probe.is_stand_in}
    BpfProgram.attach_typed = (  # type: ignore[method-assign]
        lambda self, function, type_id: 0 if function in left_out else attach_typed(self, function, type_id)
    )
    BpfProgram.attach_raw_tracepoint = (  # type: ignore[method-assign]
        lambda self, hook, function: 0 if function in left_out else attach_raw_tracepoint(self, hook, function)
    )
    BpfProgram.attach_tracepoint = (  # type: ignore[method-assign]
        lambda self, hook, function: 0 if function in left_out else attach_tracepoint(self, hook, function)
    )
main()
