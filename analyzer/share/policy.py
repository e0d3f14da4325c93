"""Policies: what becomes of each kind of column. A policy is a TOML file; some are built in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from analyzer.errors import AnalyzerError, Exit
from analyzer.sql_error import near
from recorder.schema import TABLES, Column, Kind, Table, Type

_FOLDER = Path(__file__).with_name("policies")
_KEYS = ("doc", "base", "kinds", "columns")
_TEXT = {Type.STRING, Type.CATEGORY, Type.STRINGS}


class Treatment(StrEnum):
    """What can become of a column."""

    KEEP = "keep"
    DROP = "drop"
    """NULL; an empty text or list where there is no NULL."""
    TOKEN = "token"
    """Keyed tokens in place of names and ids; other numbers in place of user ids. Of option=value the option stays."""
    PREFIX = "prefix"
    """Crypto-PAn."""
    PROGRAM = "program"
    """A list with the token of the program's name, of which arguments are gone."""
    MASK = "mask"
    """Text stays, but secrets are masked, and names and addresses in it become their pseudonyms."""
    SHIFT = "shift"
    """All times moved by the same, years back."""


_TOKENS_ONLY = (Treatment.TOKEN, Treatment.PROGRAM, Treatment.DROP)


def fits(treatment: Treatment, column: Column) -> bool:
    """Say whether ``treatment`` can be given to ``column``."""
    match treatment:
        case Treatment.KEEP:
            return True
        case Treatment.DROP:
            return column.nullable or column.type in _TEXT
        case Treatment.TOKEN:
            return column.type in _TEXT or (column.kind is Kind.USER and column.type is Type.INT32)
        case Treatment.PREFIX:
            return column.kind is Kind.ADDRESS
        case Treatment.PROGRAM:
            return column.kind is Kind.ARGV
        case Treatment.MASK:
            return column.type in _TEXT
        case Treatment.SHIFT:
            return column.kind is Kind.TIME


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of each kind, and of single columns that are treated in another way than their kind."""

    name: str
    doc: str
    kinds: Mapping[Kind, Treatment]
    columns: Mapping[tuple[str, str], Treatment]

    def treatment(self, table: Table, column: Column) -> Treatment:
        """Return what becomes of a column; raise KeyError for one whose kind is not known."""
        assert column.kind is not None
        return self.columns.get((table.name, column.name)) or self.kinds[column.kind]

    def gives_tokens(self, table: Table, column: Column) -> bool:
        """Say whether all texts of a column become tokens, or nothing."""
        return column.kind is not Kind.FILTER and self.treatment(table, column) in _TOKENS_ONLY


def built_in() -> list[str]:
    """Return the names of the policies that are built in."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(name: str) -> Policy:
    """Return the policy called ``name``, or that in the file of that name.

    Raises AnalyzerError with exit code 2 for what is no policy, names what does not exist, or leaves a column untreated.
    """
    path = _FOLDER / f"{name}.toml" if name in built_in() else Path(name)
    if path.parent != _FOLDER and not path.is_file():
        hint = near(name, built_in()) or f"Built in: {', '.join(built_in())}; or name a TOML file."
        raise AnalyzerError(f"There is no policy {name}.", hint)
    return _Reader(path).policy()


class _Reader:
    """Reads one file, and says what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._title = path.stem if path.parent == _FOLDER else str(path)
        try:
            self._content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise self._fault(f"is no TOML: {error}", "A policy to start from is shown by: bpftape share --show-policy standard") from None
        except OSError as error:
            raise AnalyzerError(f"Policy {path} cannot be read: {error.strerror}.", code=Exit.PERMISSION) from None

    def policy(self) -> Policy:
        """Return what the file says."""
        for key in self._content:
            if key not in _KEYS:
                raise self._fault(f"has a key {key}", near(key, _KEYS) or f"Keys: {', '.join(_KEYS)}.")
        base = self._base()
        kinds = {**(base.kinds if base else {}), **dict(self._kinds())}
        columns = {**(base.columns if base else {}), **dict(self._columns())}
        if missing := [kind for kind in Kind if kind not in kinds]:
            raise self._fault(f"does not say what becomes of the kind {missing[0]}", 'Say it under [kinds], or begin with: base = "standard"')
        policy = Policy(re.sub(r"[^\w.-]+", "-", self._path.stem)[:64], str(self._content.get("doc", "")), kinds, columns)
        for table in TABLES.values():
            for column in table.columns:
                treatment = policy.treatment(table, column)
                if not fits(treatment, column):
                    possible = ", ".join(one for one in Treatment if fits(one, column))
                    message = f"gives {table.name}.{column.name} the treatment {treatment}, which does not fit"
                    raise self._fault(message, f"Possible for it: {possible}.")
        return policy

    def _base(self) -> Policy | None:
        base = self._content.get("base")
        if base is None:
            return None
        if base not in built_in():
            raise self._fault(f"builds on {base}, which is not built in", f"Built in: {', '.join(built_in())}.")
        return load(base)

    def _section(self, name: str) -> dict[str, Any]:
        section = self._content.get(name, {})
        if not isinstance(section, dict):
            raise self._fault(f"has {name} that is no section", f"Write it as [{name}].")
        return section

    def _kinds(self) -> Iterator[tuple[Kind, Treatment]]:
        for name, value in self._section("kinds").items():
            if name not in list(Kind):
                raise self._fault(f"names the kind {name}, which there is not", near(name, list(Kind)) or f"Kinds: {', '.join(Kind)}.")
            yield Kind(name), self._treatment(name, value)

    def _columns(self) -> Iterator[tuple[tuple[str, str], Treatment]]:
        for name, found in self._section("columns").items():
            if name not in TABLES:
                raise self._fault(f"names the table {name}, which there is not", near(name, TABLES) or "Tables: bpftape schema")
            if not isinstance(found, dict):
                raise self._fault(f"names no column of {name}", f'Write it as {name}.COLUMN = "drop".')
            columns = [column.name for column in TABLES[name].columns]
            for column, value in found.items():
                if column not in columns:
                    hint = near(column, columns) or f"Columns of {name}: bpftape schema {name}"
                    raise self._fault(f"names the column {name}.{column}, which there is not", hint)
                yield (name, column), self._treatment(f"{name}.{column}", value)

    def _treatment(self, what: str, value: object) -> Treatment:
        if not isinstance(value, str) or value not in list(Treatment):
            hint = near(str(value), list(Treatment)) or f"Treatments: {', '.join(Treatment)}."
            raise self._fault(f"gives {what} the treatment {value}, which there is not", hint)
        return Treatment(value)

    def _fault(self, what: str, hint: str) -> AnalyzerError:
        return AnalyzerError(f"Policy {self._title} {what}.", hint)
