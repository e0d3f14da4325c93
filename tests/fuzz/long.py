"""Fuzz one target with atheris, which sees the branches that an input takes: ``python -m tests.fuzz.long TARGET [OPTION_OF_LIBFUZZER]… FOLDER…``."""

from __future__ import annotations

import os
import random
import resource
import sys

import atheris

with atheris.instrument_imports(include=["recorder", "analyzer", "tests.fuzz.targets", "zipfile", "tomllib"], enable_loader_override=False):
    from tests.fuzz.target import attempt, load

    TARGET = load(sys.argv[1])


LIMIT_BYTES = 3 << 30


def mutated(data: bytes, max_size: int, seed: int) -> bytes:
    """Change an input by what it means, or, one time in four, as libFuzzer likes."""
    assert TARGET.mutate
    changed = atheris.Mutate(data, max_size) if seed % 4 == 0 else TARGET.mutate(data, random.Random(seed))
    return bytes(changed[:max_size])


if __name__ == "__main__":
    # As for the commands, which bound what they take: what claims more memory than there is ends with an error, and not with the machine.
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    atheris.Setup(
        [os.environ.get("FUZZ_COMMAND", sys.argv[1]), *sys.argv[2:]],
        lambda data: attempt(TARGET, data),
        custom_mutator=mutated if TARGET.mutate else None,
    )
    atheris.Fuzz()
