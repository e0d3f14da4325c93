"""Types of a kernel that was put together by hand, and of things that are no kernel."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import btf as btf_module
from recorder.btf import Btf, relocate
from recorder.errors import Exit, RecorderError
from tests.recorder.btf_blob import Blob, kernel

KERNEL = kernel().bytes()


def test_members_have_their_offsets_those_of_anonymous_ones_among_them() -> None:
    assert Btf(KERNEL).struct("outer") == (40, {"first": 0, "deep": 12, "other": 8, "second": 16, "last": 32})


def test_bit_fields_have_the_offset_of_their_byte() -> None:
    assert Btf(KERNEL).struct("flags") == (8, {"low": 0, "plain": 4})


def test_members_behind_typedefs_and_qualifiers_are_found() -> None:
    assert Btf(KERNEL).struct("modified") == (16, {"deep": 12})


def test_what_the_kernel_does_not_have_is_none() -> None:
    btf = Btf(KERNEL)
    assert btf.struct("not_declared") is None
    assert btf.struct("double") is None
    assert btf.enumerator("cgroup_subsys_id", "no_cgrp_id") is None
    assert btf.enumerator("no_enum", "memory_cgrp_id") is None
    assert btf.raw_tracepoint_arguments("no_tracepoint") is None
    assert btf.raw_tracepoint_arguments("odd") is None


def test_enumerators_have_their_values() -> None:
    assert Btf(KERNEL).enumerator("cgroup_subsys_id", "memory_cgrp_id") == 4
    assert Btf(KERNEL).enumerator("cgroup_subsys_id", "cpuset_cgrp_id") == 0


def test_raw_tracepoints_have_their_arguments_counted_without_their_own_data() -> None:
    assert Btf(KERNEL).raw_tracepoint_arguments("sched_process_exit") == 2
    assert Btf(KERNEL).raw_tracepoint_arguments("task_newtask") == 1


def refusal(data: bytes) -> RecorderError | None:
    """Return how ``data`` is refused, None when it is not."""
    try:
        Btf(data)
    except RecorderError as error:
        return error
    return None


@pytest.mark.parametrize(
    "data", [b"", b"\x9f\xeb", b"\x7fELF" + bytes(100), KERNEL[:-1], KERNEL[:30]], ids=["empty", "torn header", "ELF", "cut", "torn"]
)
def test_what_is_no_btf_is_refused(data: bytes) -> None:
    error = refusal(data)
    assert error is not None
    assert error.code == Exit.BPF
    assert "type information (BTF) cannot be read" in error.message


def test_a_kind_of_a_later_kernel_is_refused_since_its_size_is_unknown() -> None:
    blob = Blob()
    blob.add(31, "later")
    error = refusal(blob.bytes())
    assert error is not None
    assert error.code == Exit.BPF


@settings(max_examples=300)
@given(data=st.binary(max_size=200))
def test_garbage_raises_the_recorders_error_only(data: bytes) -> None:
    error = refusal(data)
    assert error is not None
    assert error.code == Exit.BPF


@settings(max_examples=300)
@given(cut=st.integers(0, len(KERNEL) - 1), place=st.integers(0, len(KERNEL) - 1), value=st.integers(0, 255))
def test_a_damaged_blob_raises_the_recorders_error_or_none(cut: int, place: int, value: int) -> None:
    short = refusal(KERNEL[:cut])
    assert short is not None
    assert short.code == Exit.BPF
    damaged = bytearray(KERNEL)
    damaged[place] = value
    changed = refusal(bytes(damaged))
    assert changed is None or changed.code == Exit.BPF


def test_a_kernel_without_btf_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(btf_module, "VMLINUX", tmp_path / "vmlinux")
    with pytest.raises(RecorderError, match="this kernel does not describe its types") as caught:
        Btf.of_running_kernel()
    assert caught.value.code == Exit.BPF
    assert "CONFIG_DEBUG_INFO_BTF" in caught.value.hint


DECLARATIONS = """\
/* Only a member a line counts. */
struct outer {
	int first;
	struct modified *last;
	u64 not_there;
	char deep[16];
};

struct not_in_this_kernel {
	int member;
};

struct modified {
	int deep;
};
"""


def test_relocation_puts_each_member_where_the_kernel_has_it() -> None:
    assert relocate(DECLARATIONS, Btf(KERNEL)) == (
        "struct modified;\n"
        "struct not_in_this_kernel;\n"
        "struct outer;\n"
        "#define HAVE_outer_first 1\n"
        "#define HAVE_outer_last 1\n"
        "#define HAVE_outer_deep 1\n"
        "struct outer { union {\n"
        "\tchar _size[40];\n"
        "\tstruct { int first; };\n"
        "\tstruct { char _at_last[32]; struct modified *last; };\n"
        "\tstruct { char _at_deep[12]; char deep[16]; };\n"
        "}; };\n"
        '_Static_assert(__builtin_offsetof(struct outer, first) == 0, "outer.first");\n'
        '_Static_assert(__builtin_offsetof(struct outer, last) == 32, "outer.last");\n'
        '_Static_assert(__builtin_offsetof(struct outer, deep) == 12, "outer.deep");\n'
        "#define HAVE_modified_deep 1\n"
        "struct modified { union {\n"
        "\tchar _size[16];\n"
        "\tstruct { char _at_deep[12]; int deep; };\n"
        "}; };\n"
        '_Static_assert(__builtin_offsetof(struct modified, deep) == 12, "modified.deep");\n'
    )


def test_functions_are_found_by_their_whole_name() -> None:
    assert Btf(KERNEL).function("do_it") == 10
    assert [Btf(KERNEL).function(name) for name in ("do", "it", "do_it_again", "")] == [None] * 4
