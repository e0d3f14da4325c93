"""What a user can get wrong, or a host can lack: a message, what to do next, the right exit code, and nothing lost."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.kernel.harness import PATIENCE_SECONDS, RECORD, Recording, recorder, run_record

# Where mounting is needed it is done in a mount namespace of its own, which ends with the command.
PRIVATE_MOUNTS = ["unshare", "--mount", "/bin/sh", "-ec"]


def refused(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    """Hold what a command said and returned against what it should have; it says what to do next, and has no traceback."""
    assert done.returncode == code, done.stderr
    for text in said:
        assert text in done.stderr
    assert done.stderr.startswith("error: ")
    assert "\nhint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def unprivileged(uid: int) -> list[str]:
    # The one capability is for reading the source tree wherever it lies.
    capability = "+dac_read_search"
    return ["setpriv", "--reuid", str(uid), "--clear-groups", "--inh-caps", capability, "--ambient-caps", capability]


@pytest.mark.parametrize(
    "wrapper", [unprivileged(65_534), ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]], ids=["a user", "root without capabilities"]
)
def test_without_the_privilege_the_line_to_type_is_said(wrapper: Sequence[str], tmp_path: Path) -> None:
    done = run_record("--duration", 1, "--output", "some where.bpftape", wrapper=wrapper, cwd=tmp_path)
    refused(done, 77, "needs root", "CAP_BPF and CAP_PERFMON")
    assert done.stderr.splitlines()[-1] == "hint: try: sudo record --duration 1 --output 'some where.bpftape'"
    assert list(tmp_path.iterdir()) == []


def test_without_bcc_its_package_is_named(tmp_path: Path) -> None:
    done = run_record("--duration", 1, "--output", tmp_path / "r.bpftape", env={"BPFTAPE_BCC": str(tmp_path / "none")})
    refused(done, 70, "BCC is not installed", "apt install python3-bpfcc", "dnf install python3-bcc")
    assert list(tmp_path.iterdir()) == []


def test_the_crystallography_package_of_the_same_name_is_told_apart(tmp_path: Path) -> None:
    wrong = tmp_path / "bcc"
    wrong.mkdir()
    (wrong / "__init__.py").write_text("class Crystal: ...\n")
    done = run_record("--duration", 1, "--output", tmp_path / "r.bpftape", env={"BPFTAPE_BCC": str(wrong)})
    refused(done, 70, f"the bcc at {wrong} is another package", "apt install python3-bpfcc")
    assert [path.name for path in tmp_path.iterdir()] == ["bcc"]


def test_a_kernel_without_btf_is_said_to_be_one(tmp_path: Path) -> None:
    hide = [*PRIVATE_MOUNTS, 'mount -t tmpfs none /sys/kernel/btf; exec "$@"', "sh"]
    done = run_record("--duration", 1, "--output", tmp_path / "r.bpftape", wrapper=hide)
    refused(done, 70, "/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF=y", "bpftape doctor")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pid", "4194305"], "--pid 4194305: no such process"),
        (["--pid", "0"], "--pid 0: no such process"),
        (["--comm", "a-name-of-sixteen"], "try: --comm 'a-name-of-sixte'"),
        (["--comm", ""], "--comm ''"),
        (["--uid", "no-such-user"], "--uid no-such-user: no such user"),
        (["--uid", "4294967295"], "--uid 4294967295"),
        (["--cgroup", "/no/such/group"], "--cgroup /no/such/group: no such folder under"),
        (["--cgroup", "/etc"], "--cgroup /etc: no such folder under"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_filter_values_that_nothing_can_match_are_refused(options: list[str], said: str, tmp_path: Path) -> None:
    done = run_record("--duration", 1, "--output", tmp_path / "r.bpftape", *options)
    refused(done, 2, said)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_stays_as_it_is(tmp_path: Path) -> None:
    output = tmp_path / "r.bpftape"
    output.mkdir()
    (output / "kept").write_text("kept")
    refused(run_record("--duration", 1, "--output", output), 73, f"{output} exists", "--force")
    refused(run_record("--duration", 1, "--force", "--output", output), 73, f"{output} is not a recording")
    (output / "manifest.jsonl").write_text("{}\n")
    refused(run_record("--duration", 1, "--force", "--output", output), 73, "kept")
    assert (output / "kept").read_text() == "kept"
    file = tmp_path / "file"
    file.write_text("kept")
    refused(run_record("--duration", 1, "--force", "--output", file), 73, f"{file} exists and is not a folder")
    assert file.read_text() == "kept"


@pytest.mark.parametrize("target", ["folder", "nowhere"])
@pytest.mark.parametrize("options", [[], ["--force"]], ids=["", "--force"])
def test_nothing_is_written_through_a_symbolic_link(target: str, options: list[str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link.bpftape"
    link.symlink_to(tmp_path / target)
    refused(run_record("--duration", 1, *options, "--output", link), 73, f"{link} is a symbolic link")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link.bpftape"]
    assert list((tmp_path / "folder").iterdir()) == []


def test_the_outputs_parent_must_be_there_and_take_a_folder(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    refused(run_record("--duration", 1, "--output", missing / "r.bpftape"), 73, f"{missing}: no such folder")
    (tmp_path / "file").touch()
    refused(run_record("--duration", 1, "--output", tmp_path / "file" / "r.bpftape"), 73, "Not a directory")
    read_only = [*PRIVATE_MOUNTS, f'mount -t tmpfs -o ro none {tmp_path}; exec "$@"', "sh"]
    refused(
        run_record("--duration", 1, "--output", tmp_path / "r.bpftape", wrapper=read_only),
        73,
        f"{tmp_path}/r.bpftape: Read-only file system",
        "--output DIR",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_is_full_from_the_start_is_said_to_be(tmp_path: Path) -> None:
    full = [*PRIVATE_MOUNTS, f'mount -t tmpfs -o size=64k none {tmp_path}; exec "$@"', "sh"]
    done = run_record("--duration", 1, "--output", tmp_path / "r.bpftape", wrapper=full)
    refused(done, 74, "No space left on device", "free some space")


def test_force_makes_a_new_recording_of_an_old_one(tmp_path: Path) -> None:
    output = tmp_path / "r.bpftape"
    with recorder(output) as running:
        first = running.stop()
    header = (output / "manifest.jsonl").read_text().splitlines()[0]
    assert first.about()["clean_end"] is True
    refused(run_record("--duration", 1, "--output", output), 73, f"{output} exists")
    with recorder(output, "--force") as running:
        second = running.stop()
    assert (output / "manifest.jsonl").read_text().splitlines()[0] != header, "another recording_id"
    second.assert_consistent()
    assert second.about()["command_line"][-1] == "--force"
    assert [path.name for path in tmp_path.iterdir()] == ["r.bpftape"]


def test_the_recording_belongs_to_the_user_behind_sudo_and_nobody_else_reads_it(tmp_path: Path) -> None:
    output = tmp_path / "r.bpftape"
    with recorder(output, env={"SUDO_UID": "65534", "SUDO_GID": "65533"}, wrapper=["/bin/sh", "-c", 'umask 0; exec "$@"', "sh"]) as running:
        running.stop()
    found = {path: path.lstat() for path in (output, *output.rglob("*"))}
    assert {(status.st_uid, status.st_gid) for status in found.values()} == {(65_534, 65_533)}
    assert {stat.filemode(status.st_mode) for status in found.values()} == {"drwx------", "-rw-------"}
    assert all(path.is_dir() or stat.S_ISREG(status.st_mode) for path, status in found.items())


def test_without_sudo_the_recording_belongs_to_root(tmp_path: Path) -> None:
    output = tmp_path / "r.bpftape"
    environment = {name: value for name, value in os.environ.items() if name not in ("SUDO_UID", "SUDO_GID")}
    words = [RECORD, "--duration", "1", "--output", str(output)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in (output, *output.rglob("*"))} == {(os.getuid(), os.getgid())}
    assert Recording(output).about()["end_reason"] == "duration"
