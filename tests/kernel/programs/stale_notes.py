"""Run the command that follows, ``record``, where the stand-in alone sees changes of a socket's state, and finds old notes that nobody took away.

The first program is attached while the program that ``--by`` names makes connections, and not any more when the recording begins.
"""

import subprocess
import sys

from recorder.bpf_program import BpfProgram
from recorder.cli import main

attach_typed, attach_raw_tracepoint = BpfProgram.attach_typed, BpfProgram.attach_raw_tracepoint
option, maker = sys.argv[1:3]
assert option == "--by"
del sys.argv[:3]


def leave_notes(program: BpfProgram, function: str) -> None:
    if function == "stand_in_inet_sock_set_state":
        subprocess.run([sys.executable, "-IS", maker, "9"], check=True, stdout=subprocess.DEVNULL)
        program.detach()


def typed(self: BpfProgram, function: str, type_id: int) -> int:
    leave_notes(self, function)
    return attach_typed(self, function, type_id)


def raw_tracepoint(self: BpfProgram, hook: str, function: str) -> int:
    leave_notes(self, function)
    return attach_raw_tracepoint(self, hook, function)


BpfProgram.attach_typed, BpfProgram.attach_raw_tracepoint = typed, raw_tracepoint  # type: ignore[method-assign]
main()
