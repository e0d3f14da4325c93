"""Entries that somebody types at a terminal: a line editor with a history, colours, and completion."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import create_output
from pygments.lexers.sql import SqlLexer

from analyzer.derived import derived, derived_names
from analyzer.functions import FUNCTIONS, TABLE_FUNCTIONS
from analyzer.macros import MACROS
from analyzer.prompt.commands import COMMANDS
from analyzer.prompt.split import is_whole, split
from analyzer.recording import known_tables
from analyzer.report import bundled_checks, bundled_names
from analyzer.sandbox import Sandbox
from analyzer.schema import columns
from recorder.schema import TABLES

_PROMPT = "sql> "
_MORE = "...> "
_WORD = re.compile(r"\w*\Z")
_QUALIFIER = re.compile(r"(\w+)\.\w*\Z")
_NAME = re.compile(r"\w+")


def typed(sandbox: Sandbox) -> Iterator[str]:
    """Yield what is typed, a whole entry at a time, until Ctrl-D. Ctrl-C gives up a line."""
    session: PromptSession[str] = PromptSession(
        _PROMPT,
        multiline=True,
        prompt_continuation=_MORE,
        history=history(),
        completer=Words(sandbox),
        complete_while_typing=False,
        lexer=PygmentsLexer(SqlLexer),
        key_bindings=_keys(),
        output=create_output(always_prefer_tty=True),
    )
    while True:
        try:
            entry = session.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        yield from split(entry)[0]


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return keys


def history() -> History:
    """Return the history, kept in a file that only its user can read: statements hold names of hosts and arguments of programs."""
    path = history_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
    except OSError as error:
        print(f"note: no history is kept: {path}: {error.strerror}", file=sys.stderr)
        return InMemoryHistory()
    return FileHistory(path)


def history_file() -> Path:
    """Return where the history is kept; the XDG Base Directory Specification says that a relative path in the variable counts for nothing."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else Path.home() / ".local" / "state") / "bpftape" / "sql_history"


class Words(Completer):
    """Completes tables, columns, functions and keywords; behind a dot at the beginning commands, and what each of them is about."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._tables = sorted((*known_tables(sandbox.recordings), *derived_names()))
        self._columns = {name: [column.name for column in columns(TABLES[name])] for name in self._tables if name in TABLES}
        self._columns |= {name: [column.name for column in derived(name).columns] for name in derived_names()}
        query = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN ('reserved', 'type_function')"
        self._keywords = sorted({"by", "over", *(row[0] for row in sandbox.rows(query, []))})

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002 - prompt_toolkit's
        """Yield the completions of the word before the cursor."""
        before = document.text_before_cursor
        word = _WORD.search(before)
        assert word is not None, "the pattern matches nothing, too"
        start = word[0].lower()
        candidates = self._command(before) if before.lstrip().startswith(".") else self._sql(before, document.text)
        for name, what in candidates:
            if name.lower().startswith(start):
                yield Completion(name, -len(start), display_meta=what)

    def _command(self, before: str) -> Iterator[tuple[str, str]]:
        name, *words = before.lstrip()[1:].split(" ")
        if not words:
            yield from ((name, command.doc) for name, command in COMMANDS.items())
        elif name == "schema":
            yield from ((table, "") for table in self._tables)
        elif name in ("run", "describe"):
            yield from ((report, "") for report in (*bundled_names(), *bundled_checks()))

    def _sql(self, before: str, text: str) -> Iterator[tuple[str, str]]:
        used = set(map(str.lower, _NAME.findall(text)))
        tables = [table for table in self._tables if table in used] or self._tables
        if qualifier := _QUALIFIER.search(before):
            name = qualifier[1].lower()
            yield from self._columns_of([name] if name in self._columns else tables)
            return
        yield from ((table, "table") for table in self._tables)
        yield from self._columns_of(tables)
        yield from ((name, macro.signature) for name, macro in MACROS.items())
        yield from ((name, "function") for name in sorted(FUNCTIONS | TABLE_FUNCTIONS) if _NAME.fullmatch(name))
        yield from ((keyword.upper(), "") for keyword in self._keywords)

    def _columns_of(self, tables: Iterable[str]) -> Iterator[tuple[str, str]]:
        found: dict[str, str] = {}
        for table in tables:
            for name in self._columns.get(table, []):
                found[name] = f"{found[name]}, {table}" if name in found else f"column of {table}"
        yield from sorted(found.items())
