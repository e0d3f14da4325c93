"""BCC lays the records out as the C structs of bpf/ are read by the tests that need no kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.btf import Btf
from recorder.compilations import declarations, kernel_flags
from recorder.compiled import layout
from recorder.compiler import compile_source
from recorder.session import Options
from recorder.tracers import all_tracers, stand_in_flags
from tests.recorder.c_structs import event_structs


@pytest.mark.parametrize("name", [name for name, tracer in all_tracers().items() if not tracer.on_request])
def test_bcc_derives_the_records_that_the_c_files_declare(name: str) -> None:
    tracer = all_tracers()[name]
    btf = Btf.of_running_kernel()
    tables = tracer.tables(True)
    flags = [*kernel_flags(btf, Options(Path(), (name,))), *tracer.flags(btf), *stand_in_flags(tracer.probes, btf)]
    flags += [f"-DRING_PAGES_{table}=1" for table in tables]
    compiled = compile_source(f"{name}.c", declarations(btf), flags)
    structs = event_structs(name)
    assert set(structs) == set(tables)
    assert compiled.records == {table: layout(struct) for table, struct in structs.items()}
