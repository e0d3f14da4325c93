"""The verbs of ``bpftape`` that need no privileges: one module a verb, found by its place.

The module ``new_report`` has a function of that name, which becomes the verb ``new-report``, and ``EXAMPLES`` for its ``--help``: what somebody
wants, and what to type for it. With ``--json`` a verb prints one JSON document by :func:`analyzer.tell.tell`, or a line for each row where these come
one by one. All modules are imported at each start, so heavy imports belong inside of the functions. The recorder adds its
own verbs, those that need its code, to the same app: ``recorder/verbs/``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from analyzer.examples import examples

WITHOUT_JSON = {
    "new-report": "makes a text for people, whose name they gave",
    "sql": "has many answers, each of which --format json or jsonl writes",
}
"""The verbs that have no ``--json``, and why."""

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich", help="Work with recordings, and with the machine that makes them."
)


def _version(wanted: bool) -> None:
    if wanted:
        from analyzer.version import version

        print(f"bpftape {version()}")
        raise typer.Exit


@app.callback()
def bpftape(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """Work with recordings, and with the machine that makes them."""


class _Verb(TyperCommand):
    """A verb that looks at paths itself: typer would call one that may not be read a wrong word (2), where it is a permission that lacks (77)."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all parameters, of which those that are paths take any."""
        parameters = super().get_params(ctx)
        for parameter in parameters:
            described = getattr(parameter, "type_descriptor", None)  # typer 0.29; --help has none
            if (about := getattr(described, "parameter_info", None)) is not None:
                about.readable = False
        return parameters


def add_verbs(package: str, path: Iterable[str]) -> None:
    """Add the verbs that are modules of ``package``, whose folders are ``path``."""
    for name in sorted(module.name for module in pkgutil.iter_modules(path)):
        module = importlib.import_module(f"{package}.{name}")
        app.command(name.replace("_", "-"), cls=_Verb, epilog=examples(module.EXAMPLES))(getattr(module, name))


add_verbs(__name__, __path__)
