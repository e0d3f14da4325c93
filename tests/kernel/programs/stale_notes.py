"""Run the command that follows, ``record``, where the stand-in alone sees changes of a socket's state, and finds old notes that nobody took away.

The first program is attached while the program that ``--by`` names makes connections, and not any more when the recording begins.
"""

import subprocess
import sys
from typing import Any

from recorder import attach
from recorder.bpf_program import BpfProgram
from recorder.btf import Btf
from recorder.cli import main
from recorder.tracers import Probe

attach_probe = attach._attach_probe
option, maker = sys.argv[1:3]
assert option == "--by"
del sys.argv[:3]


def after_old_notes(attached: attach.Attached, program: BpfProgram, btf: Btf, probe: Probe, row: dict[str, Any]) -> int:
    if probe.is_stand_in and probe.hook == "inet_sock_set_state":
        subprocess.run([sys.executable, "-IS", maker, "9"], check=True, stdout=subprocess.DEVNULL)
        program.detach()
    return attach_probe(attached, program, btf, probe, row)


attach._attach_probe = after_old_notes
main()
