"""SQL of a stranger: parsed, checked, and where it may run, bound; and the same text typed at the prompt."""

from __future__ import annotations

import contextlib
import io
import os
from types import SimpleNamespace
from typing import cast

from analyzer.errors import AnalyzerError
from analyzer.prompt import Prompt
from analyzer.prompt.commands import COMMANDS, Quit, command
from analyzer.prompt.split import split
from analyzer.recording import open_recording
from analyzer.sandbox import Sandbox
from tests.analyzer.test_hostile_sql import REFUSED
from tests.fuzz.target import Target, scratch
from tests.rows import read_rows, write_recording

FOLDER = write_recording(scratch() / "fuzzed.bpftape", read_rows())
SANDBOX = Sandbox([open_recording(FOLDER)], 10)
# .run reads files and asks: what it asks is the other half of this target.
PROMPT = cast("Prompt", SimpleNamespace(sandbox=SANDBOX, ask=lambda *_: None))


def run(data: bytes) -> None:
    text = os.fsdecode(data)
    failed = None
    for entry in (*split(text)[0], text):
        try:
            if entry.startswith("."):
                with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Quit):
                    command(PROMPT, entry)
            else:
                SANDBOX.prepare(entry, "fuzzed")
        except AnalyzerError as error:
            failed = error
    if failed:
        raise failed


def seeds() -> list[bytes]:
    return [
        b"SELECT comm, count(*) FILTER (WHERE pid > 1) FROM exec GROUP BY ALL HAVING count(*) > 0 ORDER BY ALL LIMIT 10",
        b"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n",
        b"SELECT in_cidr(daddr, '10.0.0.0/8'), [x FOR x IN [1, 2] IF x > 1], {'a': $x} FROM tcp_connect",
        b"SELECT rank() OVER w FROM exec WINDOW w AS (ORDER BY pid) QUALIFY rank() OVER w = 1",
        *(f".{name}".encode() for name in COMMANDS if name not in ("describe", "run")),
    ]


WORDS = [b"SELECT ", b" FROM exec", b"WITH x AS (", b"COPY ", b" TO '/tmp/x'", b"$$", b"/*", b"*/", b"--", b";", b"'", b'"', b"\xed\xa0\x80", b"."]
WORDS += [sql.encode() for sql in REFUSED]

TARGET = Target(run, seeds, words=tuple(WORDS), longest=1_500, examples=80)
