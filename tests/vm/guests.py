"""The virtual machines of the matrix: each has the kernel of one Debian and the programs of one, its Python and BCC among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guest:
    """One virtual machine."""

    name: str
    """What KERNEL= of the Makefile says."""
    kernel: str
    """The suite whose newest stock kernel it boots."""
    land: str
    """The suite that all its programs come from. That of Debian 11 has a Python for which bpftape is too new."""
    is_hybrid: bool = False
    """Whether cgroup v1's memory controller is mounted beside v2, as hosts of that age have it."""
    purpose: str = "guest"
    """The word of packaging/system-packages.sh for what is in it."""
    mark: str = ""
    """The mark of the tests that it is for; without one it is for all that ask for no machine of their own."""

    @property
    def words(self) -> tuple[str, ...]:
        """Return what pytest is told in it beside what it is told everywhere."""
        return ("-m", self.mark or "kernel or own_machine")


GUESTS = (
    Guest("5.10", kernel="bullseye", land="bookworm", is_hybrid=True),
    Guest("6.1", kernel="bookworm", land="bookworm"),
    Guest("6.12", kernel="trixie", land="trixie"),
    Guest("sid", kernel="sid", land="sid"),
)

"""The matrix of kernels."""

PODMAN = Guest("podman", kernel="bookworm", land="bookworm", purpose="podman-guest", mark="podman")
"""The one with real containers, booted by systemd."""


def chosen(names: Iterable[str]) -> list[Guest]:
    """Return the guests of these names, the matrix without one; raise ValueError where there is none of a name."""
    by_name = {guest.name: guest for guest in (*GUESTS, PODMAN)}
    if wrong := [name for name in names if name not in by_name]:
        raise ValueError(f"there is no virtual machine {wrong[0]!r}, but {', '.join(by_name)}")
    return [by_name[name] for name in names] or list(GUESTS)
