"""The ``analyze`` command: parse arguments, run a report, print. Heavy imports are inside of what needs them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from analyzer.errors import AnalyzerError, Exit
from analyzer.examples import examples
from analyzer.options import Container, Format, Host, Since, Timeout, Until
from analyzer.text import printable

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False, rich_markup_mode="rich")

EXAMPLES = {
    "What is in the newest recording of this folder": "analyze overview",
    "A table for other programs": "analyze processes web1_20261123T041100Z.bpftape --format csv > processes.csv",
    "A report of your own, over several recordings; any file with one SELECT is one": "analyze my_report.sql *.bpftape",
    "While it is recorded": "analyze connect_failures web1_20261123T041100Z.bpftape --follow",
    "A part of it": "analyze connections --since 1m30s --until 2m --container web",
    "No file at all": "analyze --sql 'SELECT comm, count(*) FROM exec GROUP BY ALL ORDER BY 2 DESC'",
    "Functions that DuckDB does not have, in_cidr, errno_name and signal_name": 'analyze --sql "SELECT comm, signal_name(signal) FROM exit"',
    "The columns of a table": "bpftape schema exec",
    "A report to start from": "bpftape new-report my_report --tables exec,exit",
    "SQL as tests": "analyze --expect no_kills checks/*.sql RECORDING --junit out.xml",
}

_EXIT_CODES = """
[bold]Exit codes[/bold]: 0 done, 1 an expectation failed or an answer is not complete (--require-complete),
2 usage or refused SQL, 3 an expectation could not be decided,
65 missing or damaged recording, 73 output cannot be made, 74 disk full, 77 no permission.
"""


class PlainCommand(TyperCommand):
    """A command whose parameters are all text or flags, so that it starts without pydantic.

    typer 0.29 imports pydantic to convert values, which takes about as long as importing duckdb, even to turn text into text.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all parameters, ``--help`` too, changed so that they take values as they are."""
        parameters = super().get_params(ctx)
        for parameter in parameters:
            setattr(parameter, "process_value", partial(_as_typed, parameter))  # noqa: B010 - mypy does not let a method be replaced
        return parameters


def _as_typed(parameter: Any, context: Any, value: Any) -> Any:
    return parameter.callback(context, parameter, value) if parameter.callback else value


def _complete_report(incomplete: str) -> list[str]:
    from analyzer.report import bundled_checks, bundled_names

    return [name for name in (*bundled_names(), *bundled_checks()) if name.startswith(incomplete)]


def _complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return reports where one is wanted: first, or anywhere behind --expect. Recordings are files, which the shell knows."""
    return _complete_report(incomplete) if ctx.params.get("expect") or not ctx.params.get("names") else []


def _version(wanted: bool) -> None:
    if wanted:
        from analyzer.version import version

        print(f"analyze (bpftape) {version()}")
        raise typer.Exit


@app.command(cls=PlainCommand, epilog=f"{examples(EXAMPLES)}\n\n{_EXIT_CODES}")
def analyze(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REPORT [RECORDING]...",
            help="A bundled report's name, a path to a .sql file, or - for stdin; then recordings. With none, the newest *.bpftape in this folder.",
            autocompletion=_complete_name,
            show_default=False,
        ),
    ] = None,
    sql: Annotated[str | None, typer.Option("--sql", metavar="SELECT", help="Run this statement in place of a report.")] = None,
    list_reports: Annotated[bool, typer.Option("--list", help="List the bundled reports by group, and the question that each answers.")] = False,
    describe: Annotated[
        str | None,
        typer.Option("--describe", metavar="REPORT", help="Explain a report: its columns and parameters.", autocompletion=_complete_report),
    ] = None,
    form: Format = "table",
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to stdout.")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="Give a report's parameter a value.")] = None,
    timeout: Timeout = "600",
    expect: Annotated[
        bool,
        typer.Option("--expect", help="Take the reports for expectations and say of each whether it is met: PASS, FAIL or UNKNOWN."),
    ] = False,
    junit: Annotated[str | None, typer.Option("--junit", metavar="FILE", help="With --expect: write what came of it as JUnit XML, too.")] = None,
    require_complete: Annotated[
        bool, typer.Option("--require-complete", help="Exit with 1 when anything is in doubt: not recorded, lost, filtered, or unfinished.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Answer again whenever the recording grows, until it has ended or Ctrl-C.")] = False,
    since: Since = None,
    until: Until = None,
    host: Host = None,
    container: Container = None,
    version: Annotated[  # noqa: ARG001 - its callback prints and exits
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Run a report over recordings and print its rows.

    Data go to stdout, everything else to stderr. No privileges are needed, and a report can read nothing but the recordings that it is given.
    """
    arguments = names or []
    if list_reports or describe is not None:
        if arguments or sql is not None or (list_reports and describe is not None):
            raise AnalyzerError("--list and --describe stand alone.", "analyze --list; analyze --describe REPORT")
        from analyzer.catalog import explain, listing
        from analyzer.output import say

        say(explain(describe) if describe is not None else listing())
        return
    if junit is not None and not expect:
        raise AnalyzerError("--junit goes with --expect.", "analyze --expect FILE.sql... RECORDING --junit FILE")
    from analyzer.scope import Asked

    asked = Asked(since, until, host, container)
    if expect:
        if sql is not None or follow:
            raise AnalyzerError("--expect goes neither with --sql nor with --follow.", "Write the SELECT into a file: analyze --expect FILE.sql")
        from analyzer import expect as expectations

        request = expectations.Request(arguments, form, output, param or [], timeout, junit, require_complete, asked)
        raise typer.Exit(expectations.expect(request))
    from analyzer.run import Request, run

    run(Request(arguments, sql, form, output, param or [], timeout, require_complete, follow, asked))


def main() -> None:
    """Run ``analyze`` and exit; the only place where an error becomes a message."""
    run_app(app)


def run_app(command: Callable[[], object]) -> None:
    """Run a command line; print an AnalyzerError for people and exit with its code."""
    try:
        command()
    except AnalyzerError as error:
        print_error(error)
        sys.exit(int(error.code))
    except KeyboardInterrupt:  # before there was anything to stop
        sys.exit(int(Exit.INTERRUPTED))


def print_error(error: AnalyzerError) -> None:
    """Print what failed and what to do next, on stderr. The message may hold names and text from a stranger's file."""
    print(f"error: {printable(error.message)}", file=sys.stderr)
    if error.excerpt:
        print(error.excerpt, file=sys.stderr)
    if error.hint:
        print(f"hint: {printable(error.hint)}", file=sys.stderr)


if __name__ == "__main__":
    main()
