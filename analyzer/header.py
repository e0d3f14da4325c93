"""Headers of reports: the comment at the top that says what a report is about, needs, returns and takes.

The bundled reports must have all of it, and tests hold it against what they do. A user's report may have any of it or nothing: what cannot be
read there, or is not true, is a note.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from analyzer.errors import AnalyzerError
from analyzer.result import Field

_REQUIRED = ("Group", "Question", "Tables", "Columns", "Parameters", "Caveats")
_SECTION = re.compile(rf"({'|'.join(_REQUIRED)}|Optional|Bars|Expect):\s*(.*)")
_COLUMN = re.compile(r"  (\w+) {2,}(\S+) {2,}(\S+) {2,}(\S.*)")
_PARAMETER = re.compile(r"  (\w+) {2,}(BIGINT|DOUBLE|VARCHAR) {2,}(\S+) {2,}(\S.*)")

GROUPS = ("Processes", "TCP", "Containers", "XDP", "Recording")
"""What reports are about, in the order in which they are listed."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column that a report says it returns; ``unit`` is ``-`` where there is none."""

    name: str
    type: str
    unit: str
    doc: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a report can be given; ``default`` is text, as the header has it."""

    name: str
    type: str
    default: str
    doc: str

    def value(self, text: str) -> object:
        """Return ``text`` as a value of this parameter's type; raise AnalyzerError where it is none."""
        try:
            return _CONVERT[self.type](text)
        except ValueError:
            raise AnalyzerError(f"--param {self.name}={text}: that is no {self.type}.", f"The default is {self.name}={self.default}.") from None


def _bigint(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError(text)
    return value


def _double(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # a threshold that nothing or everything is beyond
        raise ValueError(text)
    return value


_CONVERT: dict[str, Callable[[str], object]] = {"BIGINT": _bigint, "DOUBLE": _double, "VARCHAR": str}


@dataclass(frozen=True, slots=True)
class Header:
    """What the comment at the top of a report says.

    ``optional`` has those of ``tables`` that a recording need not have been asked for: without them the answer is as good. ``bars`` names the
    columns of numbers that a bar is drawn beside, for rates and histograms. ``expect`` is the rule of an
    expectation. ``faults`` are lines that could not be read.
    """

    title: str = ""
    group: str = ""
    question: str = ""
    tables: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    caveats: str = ""
    optional: tuple[str, ...] = ()
    bars: tuple[str, ...] = ()
    expect: str = ""
    faults: tuple[str, ...] = ()

    def lies(self, tables: Collection[str], parameters: Collection[str], fields: Sequence[Field]) -> list[str]:
        """Return what this header says and is not so, given what the report reads, takes and returns; nothing for what it does not mention."""
        found = list(self.faults)
        if self.tables and set(self.tables) != set(tables):
            found.append(f"it says that it reads {', '.join(self.tables)}, and it reads {', '.join(sorted(tables)) or 'no table'}")
        returned = {field.name: field.type for field in fields}
        declared = {column.name: column.type for column in self.columns}
        for name, kind in declared.items():
            if name not in returned:
                found.append(f"it says that it returns {name}, and it does not")
            elif returned[name] != kind:
                found.append(f"it says that {name} is {kind}, and it is {returned[name]}")
        if declared and (more := [name for name in returned if name not in declared]):
            found.append(f"it says nothing of {', '.join(more)}, which it returns")
        unused = [parameter.name for parameter in self.parameters if parameter.name not in parameters]
        found += [f"it says that it takes {name}, and it does not use it" for name in unused]
        found += [f"it draws bars for {name}, which is no column of numbers" for name in self.bars if not _is_number(returned.get(name))]
        return found


def _is_number(kind: str | None) -> bool:
    return kind is not None and Field("", kind).is_number


def parse_header(sql: str) -> Header:
    """Return what the comment at the top of a bundled report says; raise ValueError where a section is missing or unreadable."""
    header, sections = _read(sql)
    faults = list(header.faults)
    if missing := [name for name in _REQUIRED if name not in sections]:
        faults.append(f"it lacks {', '.join(missing)}")
    if header.group not in GROUPS:
        faults.append(f"its group is {header.group!r}; there are {', '.join(GROUPS)}")
    if strange := set(header.optional) - set(header.tables):
        faults.append(f"it has {', '.join(sorted(strange))} in Optional and not in Tables")
    if faults:
        raise ValueError(f"header: {'; '.join(faults)}")
    return header


def read_header(sql: str) -> Header | None:
    """Return what the comment at the top of a user's report says, or None where it says nothing in the words of a header."""
    header, sections = _read(sql)
    return header if sections else None


def _read(sql: str) -> tuple[Header, dict[str, list[str]]]:
    """Return the header and its sections, as lines."""
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line[2:].removeprefix(" "))
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if match := _SECTION.fullmatch(line):
            current = sections.setdefault(match[1], [])
            line = match[2]
        if line.strip():
            current.append(line)
    faults: list[str] = []
    columns = tuple(Column(*parts) for parts in _rows(_COLUMN, sections.get("Columns", ()), faults))
    parameters = tuple(Parameter(*parts) for parts in _rows(_PARAMETER, sections.get("Parameters", ()), faults))
    header = Header(
        title=lines[0] if lines else "",
        group=_joined(sections, "Group"),
        question=_joined(sections, "Question"),
        tables=_names(sections, "Tables"),
        columns=columns,
        parameters=parameters,
        caveats=_joined(sections, "Caveats"),
        optional=_names(sections, "Optional"),
        bars=_names(sections, "Bars"),
        expect=_joined(sections, "Expect"),
        faults=tuple(faults),
    )
    return header, sections


def _joined(sections: dict[str, list[str]], name: str) -> str:
    return " ".join(line.strip() for line in sections.get(name, ()))


def _names(sections: dict[str, list[str]], name: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in _joined(sections, name).split(",") if word.strip())


def _rows(pattern: re.Pattern[str], lines: Sequence[str], faults: list[str]) -> list[tuple[str, str, str, str]]:
    found = []
    for line in lines:
        if match := pattern.fullmatch(line):
            found.append((match[1], match[2], match[3], match[4]))
        elif line.strip() != "none":
            faults.append(f"the line {line.strip()!r} of the header cannot be read")
    return found
