"""The commands and verbs that there are, found by walking the trees that typer makes, and what each says of itself."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer


@dataclass(frozen=True, slots=True)
class Parameter:
    """An option or an argument: how it is typed, what it does, and under which title ``--help`` shows it."""

    names: tuple[str, ...]
    value: str
    text: str
    panel: str
    is_required: bool
    is_option: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A command or a verb: what has a page of its own. Its parts are those of the command's own objects."""

    words: str
    module: str
    paragraphs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    examples: Mapping[str, str]
    verbs: Mapping[str, str]
    """Each with what it does."""

    @property
    def page_name(self) -> str:
        """Return the name of its page: ``bpftape-verify``."""
        return self.words.replace(" ", "-")

    @property
    def summary(self) -> str:
        """Return what it does in a few words: what its description says before it stops for the first time."""
        return _first(self.paragraphs[0])


def entries() -> list[Entry]:
    """Return the three commands, and each verb behind its command."""
    from analyzer.cli import app as analyze
    from recorder.cli import app as record

    bpftape = importlib.import_module("recorder.bpftape").app  # that of the analyzer's verbs, with the recorder's own added
    apps = {"analyze": analyze, "bpftape": bpftape, "record": record}
    return [entry for name, app in apps.items() for entry in _walk(typer.main.get_command(app), name, None)]


def _walk(command: Any, name: str, parent: Any) -> Iterator[Entry]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    verbs: Mapping[str, Any] = getattr(command, "commands", {})
    module = command.callback.__module__
    yield Entry(
        words=context.command_path,
        module=module,
        paragraphs=tuple(plain(part) for part in (command.help or "").split("\n\n")),
        parameters=tuple(_parameter(each, context) for each in command.get_params(context) if not getattr(each, "hidden", False)),
        examples=getattr(sys.modules[module], "EXAMPLES", {}),
        verbs={verb: _first(plain(verbs[verb].help or "")) for verb in sorted(verbs)},
    )
    for verb, inner in verbs.items():
        yield from _walk(inner, verb, context)


def _parameter(parameter: Any, context: Any) -> Parameter:
    is_option = parameter.param_type_name == "option"
    value = "" if getattr(parameter, "is_flag", False) else parameter.metavar or parameter.name.upper()
    if not is_option and parameter.nargs == -1 and not value.endswith("..."):
        value += " ..."
    _, text = parameter.get_help_record(context)
    stated = parameter.help or ""  # behind it come notes, [required], which are no markup
    return Parameter(
        # --help and -h come in any order, since they come from a set.
        names=tuple(sorted((*parameter.opts, *parameter.secondary_opts), key=len, reverse=True)) if is_option else (),
        value=value,
        text=plain(stated) + text.removeprefix(stated),
        panel=getattr(parameter, "rich_help_panel", None) or "",
        is_required=parameter.required,
        is_option=is_option,
    )


def _first(text: str) -> str:
    return re.split(r"[:.;]( |$)", text)[0]


def plain(text: str) -> str:
    """Return ``text`` in one line, without the markup that ``--help`` shows in bold."""
    from rich.text import Text

    return " ".join(Text.from_markup(text).plain.split())
