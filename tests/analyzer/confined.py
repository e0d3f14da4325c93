"""Run the module that is named first with the words behind it, as a command, and say on stderr whether it gave anything up."""

from __future__ import annotations

import runpy
import sys

from analyzer import landlock

restrict = landlock.restrict


def told(*arguments: object, **options: object) -> bool:
    print("was confined", file=sys.stderr)
    return restrict(*arguments, **options)  # type: ignore[arg-type]


if __name__ == "__main__":
    landlock.restrict = told
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__")
