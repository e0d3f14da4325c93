"""What begins with a dot at the prompt of ``bpftape sql``: everything that is not SQL."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer import schema
from analyzer.catalog import explain, listing
from analyzer.derived import derived, derived_names
from analyzer.errors import AnalyzerError, Exit
from analyzer.output import say
from analyzer.recording import known_tables
from analyzer.report import find
from analyzer.sql_error import near
from analyzer.text import printable
from recorder.schema import TABLES

if TYPE_CHECKING:
    from analyzer.prompt import Prompt


class Quit(Exception):
    """The user wants to leave."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what comes behind its name, what it does, and the function that does it with the words behind its name."""

    arguments: str
    doc: str
    run: Callable[[Prompt, list[str]], None]


def command(prompt: Prompt, text: str) -> None:
    """Carry out one command; raise AnalyzerError where there is none of its name or its words make no sense, Quit to leave."""
    try:
        name, *words = shlex.split(text[1:]) or [""]
    except ValueError as error:
        raise AnalyzerError(f"{text}: {error}.", "Quotes come in pairs, as in a shell.") from None
    found = COMMANDS.get(name.lower())
    if not found:
        raise AnalyzerError(f"There is no command .{name}.", near(name, COMMANDS) or "All of them: .help")
    found.run(prompt, words)


def _schema(prompt: Prompt, words: list[str]) -> None:
    known = known_tables(prompt.sandbox.recordings)
    for name in words or (*_in_order(known), *derived_names()):
        if name.lower() in TABLES or name.lower() not in known:
            say(schema.explain(schema.readable(name)) + ("" if words else "\n"))
        else:
            rows = prompt.sandbox.rows(f"DESCRIBE {name.lower()}", [name.lower()])
            lines = schema.column_lines((printable(str(row[0])), str(row[1]), "made by a newer recorder", None) for row in rows)
            say("\n".join([f"{name.lower()}: a table that this version does not know", "", *lines]))


def _in_order(known: set[str]) -> list[str]:
    return [*(name for name in TABLES if name in known), *sorted(known - set(TABLES))]


def _tables(prompt: Prompt, words: list[str]) -> None:
    _none(words, ".tables")
    recordings = prompt.sandbox.recordings
    rows = {name: sum(segment.rows for item in recordings for segment in item.tables.get(name, [])) for name in known_tables(recordings)}
    width = max(map(len, (*rows, *derived_names())))
    lines = [f"{name:<{width}}  {rows[name]:>11,} rows" for name in _in_order(set(rows))]
    say("\n".join([*lines, *(f"{name:<{width}}  view of {', '.join(derived(name).tables)}" for name in derived_names())]))


def _reports(_prompt: Prompt, words: list[str]) -> None:
    _none(words, ".reports")
    say(listing())


def _describe(_prompt: Prompt, words: list[str]) -> None:
    if len(words) != 1:
        raise AnalyzerError("Which report?", ".describe REPORT; all of them: .reports")
    say(explain(words[0]))


def _run(prompt: Prompt, words: list[str]) -> None:
    if not words or words[0] == "-":
        raise AnalyzerError("Which report?", ".run REPORT [NAME=VALUE]…; all of them: .reports")
    try:
        report = find(words[0])
    except AnalyzerError as error:
        if error.code == Exit.PERMISSION:  # the kernel's, since the prompt was confined
            hint = f"The prompt opens reports in {Path.cwd()} and below it alone: start it elsewhere, or copy the report."
            raise AnalyzerError(f"Report {words[0]} may not be read here.", hint, Exit.PERMISSION) from None
        raise
    prompt.ask(report, words[1:])


def _help(_prompt: Prompt, words: list[str]) -> None:
    _none(words, ".help")
    lines = [(f".{name} {item.arguments}".rstrip(), item.doc) for name, item in COMMANDS.items()]
    width = max(len(usage) for usage, _ in lines)
    about = "A statement is one SELECT, over as many lines as you like; a semicolon ends it."
    say("\n".join([about, "", *(f"{usage:<{width}}  {doc}" for usage, doc in lines)]))


def _quit(_prompt: Prompt, words: list[str]) -> None:
    _none(words, ".quit")
    raise Quit


def _none(words: list[str], usage: str) -> None:
    if words:
        raise AnalyzerError(f"{usage} stands alone; what is {' '.join(words)}?", "All commands: .help")


COMMANDS = {
    "tables": Command("", "list the tables, with their rows in this recording, and the views", _tables),
    "schema": Command("[TABLE]…", "show the columns of tables and views: type, meaning, unit", _schema),
    "reports": Command("", "list the bundled reports and expectations, with the question that each answers", _reports),
    "describe": Command("REPORT", "explain a bundled report", _describe),
    "run": Command("REPORT [NAME=VALUE]…", "run a bundled report, or a .sql file of this folder or below it", _run),
    "help": Command("", "show this", _help),
    "quit": Command("", "leave; so does Ctrl-D", _quit),
}
