"""Install and remove bpftape in a clean Debian, and look for what is left: ``make test-install``.

Its name keeps it out of ``make test``: it takes a minute, and one more for the first time, when the tree is made. It wants a mount namespace
of its own, so that nothing stays mounted, however it ends.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import REPO

pytestmark = pytest.mark.kernel

SHELLS = ("share/bash-completion/completions/{}", "share/zsh/site-functions/_{}", "share/fish/vendor_completions.d/{}.fish")
COMMANDS = ("record", "analyze", "bpftape")
OTHER_FILE_SYSTEMS = {"proc", "sys", "mnt/source", "mnt/wheels"}


@dataclass(frozen=True, slots=True)
class Tree:
    root: Path

    def run(self, *command: str, status: int = 0) -> str:
        """Run ``command`` in the tree as root, with nothing of this environment, and no way to packages but the wheels that lie there."""
        places = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        packages = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/mnt/wheels"}
        done = subprocess.run(
            ["chroot", self.root, *command],
            env={**places, **packages},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def state(self) -> dict[str, tuple[int | str, ...]]:
        """Return mode, owner and content of everything in the tree, by its path."""
        found: dict[str, tuple[int | str, ...]] = {}
        for folder, folders, files in os.walk(self.root):
            inside = Path(folder).relative_to(self.root)
            folders[:] = [name for name in folders if str(inside / name) not in OTHER_FILE_SYSTEMS]
            for name in [*folders, *files]:
                path = Path(folder) / name
                status = path.lstat()
                found[str(inside / name)] = (status.st_mode, status.st_uid, status.st_gid, _content(path, status.st_mode))
        return found


def _content(path: Path, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return str(path.readlink())
    if not stat.S_ISREG(mode):
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """Mount a clean tree that can be written to, with this repository and the wheels in it."""
    made = subprocess.run([REPO / "packaging" / "clean-tree.sh"], capture_output=True, text=True, check=False, timeout=600)
    assert made.returncode == 0, made.stderr
    clean, wheels = made.stdout.splitlines()
    upper, work, root = (tmp_path / name for name in ("upper", "work", "root"))
    for folder in (upper, work, root):
        folder.mkdir()
    layers = f"lowerdir={clean},upperdir={upper},workdir={work}"
    mounts: list[tuple[str | Path, ...]] = [("-t", "overlay", "-o", layers, "overlay", root)]
    mounts += [("-t", kind, kind, root / place) for kind, place in (("proc", "proc"), ("sysfs", "sys"))]
    mounts += [("-t", "tracefs", "tracefs", root / "sys/kernel/tracing")]
    mounts += [("--bind", "-o", "ro", what, root / "mnt" / name) for what, name in ((REPO, "source"), (wheels, "wheels"))]
    try:
        for mount in mounts:
            Path(mount[-1]).mkdir(exist_ok=True)
            subprocess.run(["mount", *mount], check=True, timeout=60)
        yield Tree(root)
    finally:
        subprocess.run(["umount", "--recursive", root], check=True, timeout=60)


def test_nothing_is_left_of_an_installation(tree: Tree) -> None:
    before = tree.state()
    assert len(before) > 5_000
    tree.run("make", "-C", "/mnt/source", "install")
    made = tree.state()
    assert {path for path in before if made.get(path) != before[path]} == set()

    for command in COMMANDS:
        assert f"Usage: {command}" in tree.run(command, "--help")
        assert tree.run("man", "-w", command).strip().endswith(f"/share/man/man1/{command}.1")
        assert all((tree.root / "usr/local" / place.format(command)).is_symlink() for place in SHELLS)
        load = f". /usr/share/bash-completion/bash_completion; _completion_loader {command}; complete -p {command}"
        assert f"_{command}_completion" in tree.run("bash", "-c", load)
    assert "--decode" in tree.run("man", "bpftape-verify")

    # A recording fills the cache of compiled programs, which has to go with the rest.
    tree.run("record", "--duration", "1", "--output", "/tmp/kept.bpftape")
    cache = tree.root / "usr/local/lib/bpftape/venv/var/cache/bpftape"
    assert any(cache.iterdir())
    assert "clone" in tree.run("analyze", "overview", "/tmp/kept.bpftape")
    tree.run("rm", "-r", "/tmp/kept.bpftape")

    tree.run("make", "-C", "/mnt/source", "uninstall")
    after = tree.state()
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()
