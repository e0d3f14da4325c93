"""Describe reports: the list of the bundled ones, one report in full, and the README of queries/."""

from __future__ import annotations

import textwrap
from dataclasses import replace

from analyzer.derived import derived, derived_names
from analyzer.header import GROUPS, Column, Header, Parameter
from analyzer.macros import MACROS
from analyzer.report import Report, bundled, bundled_checks, bundled_names, find, of_check
from analyzer.schema import column_lines
from analyzer.text import printable

_WIDTH = 100
_EXPECTATIONS = "Expectations: analyze --expect NAME... [RECORDING]..."


def listing() -> str:
    """Return the bundled reports by group, one line each, with the question that it answers, and the expectations, with what is expected."""
    groups = {name: [(report.name, header.question) for report, header in reports] for name, reports in _groups().items()}
    groups[_EXPECTATIONS] = [(report.name, header.title) for report, header in _checks()]
    width = max(len(name) for entries in groups.values() for name, _ in entries)
    return "\n\n".join("\n".join([group, *(f"  {name:<{width}}  {said}" for name, said in entries)]) for group, entries in groups.items())


def explain(name: str) -> str:
    """Return what a report says of itself and, where it says nothing of that, which tables, columns and parameters it has.

    ``name`` is that of a bundled report or the path of a file. Raises AnalyzerError if there is none, or if its SQL may not run.
    """
    report = find(name)
    header = report.header or Header(name)
    if not (header.columns and header.tables):
        header = _looked_up(report, header)
    lines = [header.title, ""] + (_wrapped("Question", header.question) if header.question else [])
    lines += [*_wrapped("Expect", header.expect)] if header.expect else []
    lines += [*_tables(header), "", "Columns"]
    lines += column_lines((column.name, column.type, column.doc, column.unit if column.unit != "-" else None) for column in header.columns)
    if header.parameters:
        lines += ["", "Parameters"]
        lines += [f"  --param {parameter.name}={parameter.default}  {parameter.doc}".rstrip() for parameter in header.parameters]
    lines += ["", "For every report: --since TIME, --until TIME, --host NAME, --container NAME"]
    return "\n".join(map(printable, lines + (["", *_wrapped("Caveats", header.caveats)] if header.caveats else [])))


def _looked_up(report: Report, header: Header) -> Header:
    """Return ``header`` with what DuckDB knows of the report's statement in the place of what it does not say."""
    from analyzer.sandbox import open_sandbox

    with open_sandbox([]) as sandbox:
        statement = sandbox.prepare(report.sql, report.name)
        result = sandbox.execute(statement, report.name, dict.fromkeys(statement.parameters))
    declared = {parameter.name for parameter in header.parameters}
    return replace(
        header,
        tables=header.tables or tuple(sorted(statement.tables)) or ("none",),
        columns=header.columns or tuple(Column(field.name, field.type, "-", "") for field in result.fields),
        parameters=(*header.parameters, *(Parameter(name, "VARCHAR", "VALUE", "") for name in sorted(statement.parameters - declared))),
    )


def index() -> str:
    """Return the text of queries/README.md."""
    lines = [
        "# Bundled reports",
        "",
        "Made from the headers of the `.sql` files by `python -m analyzer.catalog`; a test fails when it is stale.",
    ]
    groups = _groups()
    for name, reports in groups.items():
        lines += ["", f"**{name}**", "", "| report | question | tables |", "|---|---|---|"]
        lines += [f"| [{report.name}](#{report.name}) | {header.question} | {', '.join(header.tables)} |" for report, header in reports]
    for report, header in (report for reports in groups.values() for report in reports):
        lines += ["", f"## {report.name}", "", f"{header.title}.", "", f"**Question.** {header.question}", "", "| column | type | unit | meaning |"]
        lines += ["|---|---|---|---|"]
        lines += [f"| `{column.name}` | {column.type} | {column.unit} | {column.doc} |" for column in header.columns]
        if header.parameters:
            lines += ["", "| parameter | type | default | meaning |", "|---|---|---|---|"]
            lines += [f"| `{item.name}` | {item.type} | {item.default} | {item.doc} |" for item in header.parameters]
        lines += ["", f"**Caveats.** {header.caveats}"]
    lines += ["", "## Expectations", "", "For `analyze --expect`; without it they are reports like the others.", ""]
    lines += ["| expectation | met by | parameters |", "|---|---|---|"]
    lines += [f"| `{report.name}` | {header.title} | {_defaults(header) or '-'} |" for report, header in _checks()]
    lines += [
        "",
        "## Views for reports of your own",
        "",
        "A report may read the tables of a recording, and these (`bpftape schema VIEW` has the columns):",
        "",
    ]
    lines += ["| view | a row is | made of |", "|---|---|---|"]
    lines += [f"| `{view.name}` | {view.row} | {', '.join(view.tables)} |" for view in map(derived, derived_names())]
    lines += ["", "## Functions for reports of your own", "", "A report may call DuckDB's functions that only compute, and these:", ""]
    lines += ["| function | gives |", "|---|---|"]
    lines += [f"| `{macro.signature}` | {macro.doc} |" for macro in MACROS.values()]
    return "\n".join(lines) + "\n"


def _groups() -> dict[str, list[tuple[Report, Header]]]:
    """Return the bundled reports, each with its header, by group; groups that have none are left out."""
    reports = [(report, _header(report)) for report in map(bundled, bundled_names())]
    groups = {name: [(report, header) for report, header in reports if header.group == name] for name in GROUPS}
    return {name: found for name, found in groups.items() if found}


def _checks() -> list[tuple[Report, Header]]:
    return [(report, _header(report)) for report in map(of_check, bundled_checks())]


def _defaults(header: Header) -> str:
    return ", ".join(f"`{item.name}={item.default}`: {item.doc}" for item in header.parameters)


def _header(report: Report) -> Header:
    assert report.header is not None, "the header of a bundled one is parsed"
    return report.header


def _tables(header: Header) -> list[str]:
    without = [name for name in header.tables if name not in header.optional]
    optional = _wrapped("Where recorded", ", ".join(header.optional)) if header.optional else []
    return [*_wrapped("Tables", ", ".join(without)), *optional]


def _wrapped(title: str, text: str) -> list[str]:
    return textwrap.wrap(f"{title}: {text}", _WIDTH, subsequent_indent="  ")


if __name__ == "__main__":
    from analyzer.report import queries_folder

    (queries_folder() / "README.md").write_text(index(), encoding="utf-8")
