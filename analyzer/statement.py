"""Decide whether a statement may run, from the tree that DuckDB's own parser makes of it.

Denied by default: a kind of node, function or table that is not listed here, in functions.py or in macros.py is refused with a sentence. So
``WITH x AS (COPY …) SELECT``, which counts as a SELECT for DuckDB, fails on its COPY_QUERY_NODE.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from analyzer.derived import derived, derived_names
from analyzer.errors import AnalyzerError
from analyzer.functions import FUNCTIONS, OPERATOR, TABLE_FUNCTIONS
from analyzer.macros import MACROS, cidr_fault
from analyzer.sql_error import excerpt, near, syntax_error

_QUERIES = frozenset(["SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"])
_TABLE_REFS = frozenset(["BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "SHOW_REF"])
_MODIFIERS = frozenset(["ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"])
_ORDERS = frozenset(["ASCENDING", "DESCENDING", "ORDER_DEFAULT"])
_NODES = _QUERIES | _TABLE_REFS | _MODIFIERS | _ORDERS
_VALUES = frozenset(["COLUMN_REF", "CONSTANT", "LAMBDA", "PARAMETER", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE"])
_EXPRESSIONS = _VALUES | {"BETWEEN", "CASE", "CAST", "COLLATE", "COMPARISON", "CONJUNCTION", "FUNCTION", "OPERATOR", "WINDOW"}
_COLUMNS = frozenset(["COLUMN_REF", "POSITIONAL_REFERENCE", "STAR"])
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_PORTABLE = "A report is one SELECT over the tables of a recording."

Scope = frozenset[str]
Json = Any


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that may run: its text, the recording's tables that it reads, the names of its parameters, and the macros that it calls.

    ``derived`` has the views that it names, and ``tables`` those that these read, too.
    ``counts`` says that a part of it needs how many rows there are, and no value of them: footers alone answer that.
    """

    sql: str
    tables: frozenset[str]
    parameters: frozenset[str]
    macros: frozenset[str]
    derived: frozenset[str] = frozenset()
    counts: bool = False


def check(sql: str, tree: str, tables: set[str], title: str) -> Statement:
    """Return what ``sql`` reads if it may run; ``tree`` is json_serialize_sql's of it, ``tables`` are those of the recording.

    ``title`` names the text in messages. Raises AnalyzerError for everything that is not one plain SELECT.
    """
    try:
        parsed = json.loads(tree)
    except RecursionError:
        raise too_deep(title) from None
    if len(parsed["statements"]) != 1:
        raise too_many(title, len(parsed["statements"]))
    checker = _Checker(sql, tables, title)
    checker.walk(parsed["statements"][0]["node"])
    named = frozenset(checker.derived)
    read = checker.read.union(*(derived(name).tables for name in named))
    return Statement(sql, frozenset(read), frozenset(checker.parameters), frozenset(checker.macros), named, checker.counts)


def too_deep(title: str) -> AnalyzerError:
    """Return the error for a statement whose tree has too many levels."""
    return AnalyzerError(f"{title} is nested too deep.", "Split it with WITH; write long sums and chains of || as a list.")


def too_many(title: str, count: int) -> AnalyzerError:
    """Return the error for a text of several statements, or of none."""
    if count == 0:
        return AnalyzerError(f"{title} has no statement.", _PORTABLE)
    return AnalyzerError(f"{title} has {count} statements; a report is one SELECT.", "Keep one, and run the others by themselves.")


def not_a_select(sql: str, tree: str, title: str, statements: Callable[[str], list[Any]]) -> AnalyzerError:
    """Return the error for a text of which DuckDB's parser makes no tree; ``statements`` splits it."""
    answer = json.loads(tree)
    if "max_expression_depth" in answer["error_message"]:
        return too_deep(title)
    if answer["error_type"] == "parser":
        return syntax_error(sql, answer, title)
    found = [str(statement.type).rpartition(".")[2] for statement in statements(sql)]
    if len(found) > 1:
        return too_many(title, len(found))
    if found == ["MULTI"]:  # DuckDB rewrites PIVOT into several statements
        return AnalyzerError(f"{title}: PIVOT is not allowed in a report.", "Write one aggregate with FILTER (WHERE …) a column.")
    named = f"{found[0].replace('_', ' ')} is" if found else "that is"
    return AnalyzerError(f"{title}: {named} not allowed in a report.", "A report is one SELECT over the tables of a recording.")


def _reads_no_column(select: dict[str, Json]) -> bool:
    """Say whether a SELECT over tables, without those inside of it, names no column."""
    if select["from_table"]["type"] == "EMPTY":
        return False
    todo = [value for key, value in select.items() if key != "cte_map"]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo.extend(value)
        elif isinstance(value, dict) and str(value.get("type")) not in _QUERIES:
            if value.get("class") in _COLUMNS:
                return False
            todo.extend(value.values())
    return True


class _Checker:
    """Walks the tree of one statement, without recursion: a tree may be deeper than Python's stack."""

    def __init__(self, sql: str, tables: set[str], title: str) -> None:
        self.sql = sql.encode()
        self.tables = tables
        self.title = title
        self.read: set[str] = set()
        self.parameters: set[str] = set()
        self.macros: set[str] = set()
        self.derived: set[str] = set()
        self.counts = False

    def walk(self, root: Json) -> None:
        todo: list[tuple[Json, Scope]] = [(root, frozenset())]
        while todo:
            value, scope = todo.pop()
            if isinstance(value, list):
                todo.extend((item, scope) for item in value)
            elif isinstance(value, dict):
                todo.extend(self._visit(value, scope))

    def _visit(self, node: dict[str, Json], scope: Scope) -> Iterator[tuple[Json, Scope]]:
        """Refuse ``node`` or yield its parts, each with the names of the CTEs that it can see."""
        if "class" in node:
            self._expression(node)
        elif isinstance(kind := node.get("type"), str):
            if kind not in _NODES:
                raise self._refuse_node(kind, node)
            if kind == "SELECT_NODE":
                self.counts = self.counts or _reads_no_column(node)
            elif kind == "BASE_TABLE":
                self._table(node, scope)
            elif kind == "TABLE_FUNCTION":
                self._table_function(node)
                node = {**node, "function": node["function"]["arguments"]}
            elif kind == "SHOW_REF" and node.get("query") is None:
                raise self._refuse(node, "SHOW is not allowed in a report", "The tables and their columns: bpftape schema")
        if "cte_map" in node:
            node = {**node}
            for entry in node.pop("cte_map")["map"]:
                yield entry["value"], scope
                scope |= {entry["key"].lower()}
        if node.get("type") == "RECURSIVE_CTE_NODE":
            yield node.pop("left"), scope
            scope |= {node["cte_name"].lower()}
        for value in node.values():
            yield value, scope

    def _expression(self, node: dict[str, Json]) -> None:
        kind = node["class"]
        if kind not in _EXPRESSIONS:
            raise self._refuse(node, f"a {kind} expression is not allowed in a report", _PORTABLE)
        if kind == "PARAMETER":
            self.parameters.add(str(node["identifier"]))
        if kind in ("FUNCTION", "WINDOW"):
            name = str(node["function_name"]).lower()
            if name in MACROS:
                self._macro(node, name)
            elif name not in FUNCTIONS and not OPERATOR.fullmatch(name):
                hint = near(name, FUNCTIONS | set(MACROS), 0.75) or "A report may compute, but not reach out of the recording."
                raise self._refuse(node, f"function {name}() is not allowed in a report", hint)

    def _macro(self, node: dict[str, Json], name: str) -> None:
        self.macros.add(name)
        arguments = [argument["expression"] for argument in node["arguments"]]
        if name == "in_cidr" and len(arguments) == 2 and arguments[1]["class"] == "CONSTANT":
            literal = arguments[1]["literal"]
            if literal["kind"] == "STRING" and (fault := cidr_fault(literal["text"])):
                raise self._refuse(arguments[1], *fault)

    def _table(self, node: dict[str, Json], scope: Scope) -> None:
        path = [str(part) for part in node["qualified_name"]["path"]]
        name = path[-1].lower()
        if node["at_clause"] is not None:
            raise self._refuse(node, "AT is not allowed in a report", "A recording has one version.")
        if len(path) == 1 and name in scope:
            return
        if len(path) == 1 and name in derived_names():
            self.derived.add(name)
            return
        if len(path) > 1 or name not in self.tables or not _IDENTIFIER.fullmatch(name):
            known = self.tables.union(derived_names())
            hint = near(name, known) or "Tables: " + ", ".join(sorted(known))
            raise self._refuse(node, f"there is no table {'.'.join(path)} in a recording", hint)
        self.read.add(name)

    def _table_function(self, node: dict[str, Json]) -> None:
        name = str(node["function"]["function_name"]).lower()
        if name not in TABLE_FUNCTIONS:
            raise self._refuse(node, f"table function {name}() is not allowed in a report", "Allowed: " + ", ".join(sorted(TABLE_FUNCTIONS)))

    def _refuse_node(self, kind: str, node: dict[str, Json]) -> AnalyzerError:
        if kind == "PIVOT":
            return self._refuse(node, "PIVOT and UNPIVOT are not allowed in a report", "Write one aggregate with FILTER (WHERE …) a column.")
        if kind.endswith("_QUERY_NODE"):
            return self._refuse(node, f"{kind.removesuffix('_QUERY_NODE')} inside of a SELECT is not allowed", "A report only reads. " + _PORTABLE)
        return self._refuse(node, f"{kind} is not allowed in a report", _PORTABLE)

    def _refuse(self, node: dict[str, Json], what: str, hint: str) -> AnalyzerError:
        where, lines = excerpt(self.sql, node.get("query_location"), self.title)
        return AnalyzerError(f"{where}: {what}.", hint, excerpt=lines)
