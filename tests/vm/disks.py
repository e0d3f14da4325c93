"""What a virtual machine is made of: a kernel and an image that are kept between runs, this repository, and an empty disk for what comes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import REPO
from tests.vm.guests import Guest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bpftape"
_RESULT_BYTES = 256 << 20


class Unmade(Exception):
    """Something that a virtual machine is made of could not be made."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is kept between runs."""

    tree: Path
    """The guest's Debian as a folder."""
    kernel: Path
    """A folder with vmlinuz, initrd, modules.img and release."""
    image: Path


def _script(name: str, *arguments: str | Path) -> list[str]:
    """Run a script of packaging/, whose messages go to the terminal, and return the lines that it prints."""
    done = subprocess.run([REPO / "packaging" / name, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Unmade(f"packaging/{name} {' '.join(map(str, arguments))} failed")
    return done.stdout.splitlines()


def parts(guest: Guest) -> Parts:
    """Fetch and make what is not kept yet: some two minutes for a guest."""
    tree, image = _script("guest-image.sh", guest.land, guest.purpose)
    (kernel,) = _script("kernel.sh", guest.kernel, tree)
    return Parts(Path(tree), Path(kernel), Path(image))


def make_source(path: Path, arguments: Sequence[str]) -> None:
    """Make the disk with this repository and what pytest is asked for."""
    folder = path.with_suffix("")
    folder.mkdir()
    for entry in REPO.iterdir():
        if entry.name.startswith(".") or entry.suffix == ".bpftape":
            continue
        if entry.is_dir():
            shutil.copytree(entry, folder / entry.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(entry, folder)
    (folder / "arguments").write_text("\n".join(f'"{argument}"' for argument in arguments))
    _make_file_system(path, folder)
    shutil.rmtree(folder)


def _make_file_system(path: Path, folder: Path) -> None:
    words = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(folder), str(path), "256M"]
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unmade(f"mke2fs: {done.stderr.strip()}")


def make_empty(path: Path) -> None:
    """Make the disk that results are written to."""
    with path.open("wb") as file:
        file.truncate(_RESULT_BYTES)


def read_results(path: Path, folder: Path) -> Path | None:
    """Take what a guest wrote off its last disk into ``folder``; return pytest's XML, or None where the guest did not get that far."""
    subprocess.run(["tar", "--no-same-owner", "-xf", path, "-C", folder], stderr=subprocess.DEVNULL, check=False)
    found = folder / "junit.xml"
    return found if found.is_file() else None
