"""A manual page in mdoc(7), the language in which pages say what their parts are."""

from __future__ import annotations

import os
import re
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from analyzer.version import version
from recorder.manual.commands import Entry, Parameter
from recorder.manual.exit_status import MEANINGS, codes

_WIDTH = 78
_SENTENCE_END = re.compile(r"(?<=[.!?]) +(?=[A-Z])")
_WRITTEN = {"\\": r"\e", "--": r"\-\-", "…": "...", "—": r"\(em", "·": r"\(pc"}


def page(entry: Entry, commands: Sequence[str]) -> str:
    """Return the page of ``entry``; it points to those of ``commands``."""
    lines = [*_head(entry), *_synopsis(entry), *_description(entry), *_exit_status(entry), *_examples(entry), *_see_also(entry, commands)]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return ``text`` so that roff prints just that: it begins no request, and has no escapes of its own."""
    for characters, name in _WRITTEN.items():
        text = text.replace(characters, name)
    return rf"\&{text}" if text.startswith((".", "'")) else text


def argument(text: str) -> str:
    """Return ``text`` as one argument of a macro, which takes it for no macro and no punctuation."""
    return '"' + r"\&" + escape(text).replace('"', r"\(dq") + '"'


def prose(text: str) -> Iterator[str]:
    """Return the lines of ``text``, each sentence on a line of its own, as mdoc(7) asks for it."""
    for sentence in _SENTENCE_END.split(text.replace("`", "")):
        yield from map(escape, textwrap.wrap(sentence, _WIDTH, break_long_words=False, break_on_hyphens=False))


def _head(entry: Entry) -> Iterator[str]:
    made = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()))
    yield f".Dd {time.strftime('%B', made)} {made.tm_mday}, {made.tm_year}"
    yield f".Dt {entry.page_name.upper()} 1"
    yield f".Os bpftape {version()}"
    yield ".Sh NAME"
    yield f".Nm {entry.page_name}"
    yield f".Nd {escape(entry.summary[:1].lower() + entry.summary[1:])}"


def _synopsis(entry: Entry) -> Iterator[str]:
    yield ".Sh SYNOPSIS"
    yield f".Nm {argument(entry.words)}"
    yield ".Op Ar options"
    for parameter in sorted(entry.parameters, key=lambda each: not each.is_option):
        if parameter.is_option and parameter.is_required:
            yield f".{_typed(parameter)}"
        elif not parameter.is_option:
            yield f".{'' if parameter.is_required else 'Op '}{_typed(parameter)}"
    if entry.verbs:
        yield ".Ar verb"
        yield ".Op Ar arguments"


def _typed(parameter: Parameter) -> str:
    value = f"Ar {argument(parameter.value)}" if parameter.value else ""
    if not parameter.is_option:
        return value
    return " ".join([" , ".join(f"Fl {name[1:]}" for name in parameter.names), value]).rstrip()


def _description(entry: Entry) -> Iterator[str]:
    yield ".Sh DESCRIPTION"
    for number, paragraph in enumerate(entry.paragraphs):
        yield from (".Pp",) if number else ()
        yield from prose(paragraph)
    if entry.verbs:
        yield ".Ss Verbs"
        yield "Each has a page of its own."
        yield ".Bl -tag -width Ds"
        for verb, summary in entry.verbs.items():
            yield f".It Xr {entry.page_name}-{verb} 1"
            yield from prose(f"{summary}.")
        yield ".El"
    arguments = [each for each in entry.parameters if not each.is_option]
    if arguments:
        yield ".Ss Arguments"
        yield from _tagged(arguments)
    options = sorted((each for each in entry.parameters if each.is_option), key=lambda each: each.panel)
    for panel, members in groupby(options, key=lambda each: each.panel):
        yield f".Ss {panel or 'Options'}"
        yield from _tagged(members)


def _tagged(parameters: Iterable[Parameter]) -> Iterator[str]:
    yield ".Bl -tag -width Ds"
    for parameter in parameters:
        yield f".It {_typed(parameter)}"
        yield from prose(parameter.text)
    yield ".El"


def _exit_status(entry: Entry) -> Iterator[str]:
    yield ".Sh EXIT STATUS"
    yield ".Bl -tag -width 3n"
    for code in codes(entry.module):
        yield f".It {code}"
        yield from prose(MEANINGS[code])
    yield ".El"


def _examples(entry: Entry) -> Iterator[str]:
    if not entry.examples:
        return
    yield ".Sh EXAMPLES"
    for number, (purpose, command) in enumerate(entry.examples.items()):
        yield from (".Pp",) if number else ()
        yield from prose(f"{purpose}:")
        yield ".Bd -literal -offset indent"
        yield escape(command).replace(r"\-", "-").replace("-", r"\-")
        yield ".Ed"


def _see_also(entry: Entry, commands: Sequence[str]) -> Iterator[str]:
    yield ".Sh SEE ALSO"
    others = sorted(set(commands) - {entry.words})
    for name in others:
        yield f".Xr {name} 1{' ,' if name != others[-1] else ''}"
