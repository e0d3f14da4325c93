"""The privileged side of bpftape: attaches tracers and writes recordings."""

__version__ = "0.1.0"
