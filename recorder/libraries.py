"""The library that comes with the distribution, and where it is: BCC.

BCC is not from PyPI, where ``bcc`` is a crystallography library. It needs ctypes only, so it is loaded by its path into this isolated
environment (``python3-bpfcc``, ``python3-bcc``).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

from recorder.errors import Exit, RecorderError

INSTALL_BCC = "install BCC: apt install python3-bpfcc (Debian, Ubuntu), dnf install python3-bcc (Fedora), pacman -S python-bcc (Arch)"


def bcc_candidates() -> Iterator[Path]:
    """Yield where BCC may be, best first: the folder that BPFTAPE_BCC names and no other, else those of the distributions."""
    if override := os.environ.get("BPFTAPE_BCC"):
        yield Path(override)
        return
    yield Path("/usr/lib/python3/dist-packages/bcc")
    for base in ("/usr/lib", "/usr/lib64", "/usr/local/lib"):
        yield from sorted(Path(base).glob("python3*/site-packages/bcc"), reverse=True)
        yield from sorted(Path(base).glob("python3*/dist-packages/bcc"), reverse=True)


@cache
def load_bcc() -> ModuleType:
    """Return the distribution's bcc module; raise RecorderError (exit 70) where there is none or only a wrong one."""
    seen: list[str] = []
    for folder in bcc_candidates():
        if not (folder / "__init__.py").is_file():
            continue
        seen.append(str(folder))
        spec = importlib.util.spec_from_file_location("bcc", folder / "__init__.py", submodule_search_locations=[str(folder)])
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules["bcc"] = module
        try:
            with warnings.catch_warnings(action="ignore"):  # of a newer Python about BCC's own text: nobody here can mend it
                spec.loader.exec_module(module)
        except (ImportError, OSError) as error:
            del sys.modules["bcc"]
            raise RecorderError(f"BCC at {folder} does not load: {error}", INSTALL_BCC, Exit.BPF) from error
        if hasattr(module, "BPF"):
            return module
        del sys.modules["bcc"]
    if seen:
        raise RecorderError(f"the bcc at {seen[0]} is another package (no BPF in it)", INSTALL_BCC, Exit.BPF)
    raise RecorderError("BCC is not installed", INSTALL_BCC + ". The bcc of PyPI is another thing", Exit.BPF)
