"""The text of a report: its header, what it expects, and the values of its parameters, which the lines behind a NUL give."""

from __future__ import annotations

import contextlib
import os

from analyzer.expectation import Outcome, rule_of
from analyzer.header import parse_header
from analyzer.report import _decode, _own, bundled_names, queries_folder
from analyzer.result import Field
from tests.fuzz.target import Target


def run(data: bytes) -> None:
    text, _, given = data.partition(b"\0")
    report = _own("fuzzed", _decode(text, "fuzzed"))
    with contextlib.suppress(ValueError):  # only of the bundled ones is a whole header asked
        parse_header(report.sql)
    if report.header:
        report.header.lies(["exec"], ["min_ms"], [Field("pid", "INTEGER"), Field("comm", "VARCHAR")])
    assert rule_of(report).judge(1, is_settled=False) in Outcome
    report.values(os.fsdecode(given).split("\n") if given else [])


def seeds() -> list[bytes]:
    texts = [(queries_folder() / f"{name}.sql").read_bytes() for name in bundled_names() if name in ("latency_histogram", "timeline", "connections")]
    return [texts[0] + b"\0min_ms=5\nx=1", *texts[1:], b"-- title\n-- Expect: rows >= 3\nSELECT 1"]


WORDS = (b"\n-- Columns:\n", b"\n-- Parameters:\n", b"--   a  BIGINT  5  doc\n", b"\n-- Tables: exec", b"\n-- Bars: pid", b"\n-- Expect: rows ")

TARGET = Target(run, seeds, words=(*WORDS, b"DOUBLE", b"  ", b"nan", b"9" * 20), longest=8_192)
