"""The version of bpftape, from what is installed."""

from __future__ import annotations


def version() -> str:
    """Return the version of the installed distribution."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("bpftape")
    except PackageNotFoundError:
        return "from a source tree that is not installed"
