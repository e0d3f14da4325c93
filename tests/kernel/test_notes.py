"""The notes that a program leaves for its stand-in, against a list: the last NOTES are there, one of an object, and each is taken once."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from recorder import bpf_call, compiler
from recorder.bpf_program import BpfProgram
from recorder.btf import Btf
from recorder.compilations import declarations, kernel_flags
from recorder.session import Options
from tests.kernel.harness import PROGRAMS
from tests.recorder.c_structs import constant

NOTES = constant("NOTES")
Note = tuple[int, int]
SEQUENCES, STEPS = 200, 60


@dataclass(frozen=True)
class Notes:
    """What is loaded, and attached to nothing: the kernel runs it when it is asked to."""

    program: BpfProgram

    def run(self, function: str, note: Note) -> bool:
        return bool(bpf_call.run_xdp(self.program.load(function, bpf_call.XDP), struct.pack("=QQ", *note))[0])

    def take_all(self) -> None:
        for about in range(1, 2 * NOTES + 1):
            for what in (0, 1):
                while self.run("take", (about, what)):
                    pass


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notes]:
    folder = tmp_path_factory.mktemp("bpf")
    for path in [*compiler.source_folder().iterdir(), PROGRAMS / "notes.c"]:
        (folder / path.name).symlink_to(path)
    btf = Btf.of_running_kernel()
    flags = [*kernel_flags(btf, Options(Path(), ())), "-DSTAND_INS", "-DGIVES_WAY", f"-DPOSSIBLE_CPUS={bpf_call.possible_cpus()}"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compiler, "source_folder", lambda: folder)
        program = BpfProgram("notes.c", compiler.compile_source("notes.c", declarations(btf), flags))
    yield Notes(program)
    program.close()


@pytest.fixture
def cpus() -> Iterator[list[int]]:
    before = os.sched_getaffinity(0)
    yield sorted(before)
    os.sched_setaffinity(0, before)


def test_the_youngest_notes_are_there_until_they_are_taken(notes: Notes, cpus: list[int]) -> None:
    os.sched_setaffinity(0, cpus[:1])
    for seed in range(SEQUENCES):  # not hypothesis, which virtual machines do not have
        hold_against_a_list(notes, random.Random(seed))


def hold_against_a_list(notes: Notes, drawn: random.Random) -> None:
    notes.take_all()
    there: list[Note] = []
    for _ in range(STEPS):
        about, what = drawn.randint(1, 2 * NOTES), drawn.randint(0, 1)
        if drawn.random() < 1 / 3:
            assert notes.run("take", (about, what)) == ((about, what) in there)
            there = [other for other in there if other != (about, what)]
        else:
            notes.run("leave", (about, what))
            there = [*(other for other in there if other[0] != about), (about, what)][-NOTES:]


def test_what_is_left_on_one_cpu_is_found_from_another(notes: Notes, cpus: list[int]) -> None:
    notes.take_all()
    for cpu in cpus:
        os.sched_setaffinity(0, [cpu])
        assert not notes.run("leave", (1 + cpu, 0))
    for cpu in cpus:
        os.sched_setaffinity(0, [cpu])
        assert notes.run("take", (1 + (cpu + 1) % len(cpus), 0))
    assert not any(notes.run("take", (1 + cpu, 0)) for cpu in cpus)
