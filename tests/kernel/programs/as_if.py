"""Run the command that follows, ``record``, as on another kernel or a larger host."""

import argparse
import sys

from recorder import attach, tracers
from recorder.btf import Btf
from recorder.cli import main
from recorder.compilations import FOLLOW_PROBES

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--gives-way", action="store_true", help="tasks give way in the middle of programs")
parser.add_argument("--left-out", action="store_true", help="the kernel leaves out each run of those programs that others stand in for")
parser.add_argument("--cpus", type=int, help="so many CPUs are possible")
parser.add_argument("command", nargs=argparse.REMAINDER)
asked = parser.parse_args()

typedef, attach_probe = Btf.typedef, attach._attach_probe
if asked.gives_way:
    Btf.typedef = lambda self, name: 1 if name == "class_srcu_fast_notrace_t" else typedef(self, name)  # type: ignore[method-assign]
if asked.left_out:
    probes = [*FOLLOW_PROBES, *(probe for tracer in tracers.all_tracers().values() for probe in tracer.probes)]
    stood_in = {(probe.hook, probe.tables) for probe in probes if probe.is_stand_in}
    attach._attach_probe = lambda attached, program, btf, probe, row: (
        0 if not probe.is_stand_in and (probe.hook, probe.tables) in stood_in else attach_probe(attached, program, btf, probe, row)
    )
if asked.cpus:
    vars(tracers)["possible_cpus"] = lambda: asked.cpus
sys.argv = asked.command
main()
