"""Policies: every column has a treatment, and a file that is wrong says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.errors import AnalyzerError
from analyzer.share.policy import Treatment, built_in, fits, load
from recorder.schema import TABLES, Kind, Type
from tests.share.conftest import POLICIES


def test_three_policies_are_built_in() -> None:
    assert tuple(built_in()) == POLICIES


@pytest.mark.parametrize("name", POLICIES)
def test_every_column_of_every_table_has_a_treatment_that_fits(name: str) -> None:
    policy = load(name)
    for table in TABLES.values():
        for column in table.columns:
            treatment = policy.treatment(table, column)
            assert fits(treatment, column)
            is_public = column.kind in (Kind.PLAIN, Kind.NUMBER) or (column.kind in (Kind.TIME, Kind.SYSTEM) and name != "strict")
            is_read = name == "minimal" and column.kind is Kind.PROGRAM
            assert (treatment is Treatment.KEEP) == (is_public or is_read)
            if column.type in (Type.INT32, Type.INT64, Type.BOOL) and column.kind is not Kind.USER:
                assert treatment in (Treatment.KEEP, Treatment.SHIFT)


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_a_policy_of_ones_own_begins_with_another_one(tmp_path: Path) -> None:
    text = 'doc = "x"\nbase = "standard"\n[kinds]\nprogram = "keep"\n[columns]\nexec.filename = "drop"\ntcp_connect.daddr = "token"\n'
    policy = load(write(tmp_path, text))
    exec_table, connect = TABLES["exec"], TABLES["tcp_connect"]
    assert policy.name == "mine"
    assert policy.treatment(exec_table, exec_table.column("comm")) is Treatment.KEEP
    assert policy.treatment(exec_table, exec_table.column("filename")) is Treatment.DROP
    assert policy.treatment(connect, connect.column("daddr")) is Treatment.TOKEN
    assert policy.treatment(connect, connect.column("saddr")) is Treatment.PREFIX


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ('base = "standard"\n[columns]\nexec.filenam = "drop"', "the column exec.filenam, which there is not", "filename"),
        ('base = "standard"\n[columns]\nexecs.argv = "drop"', "the table execs, which there is not", "exec"),
        ('base = "standard"\n[columns]\nexec = "drop"', "no column of exec", "exec.COLUMN"),
        ('base = "standard"\n[columns]\nexec.argv = "hide"', "exec.argv the treatment hide, which there is not", "drop"),
        ('base = "standard"\n[columns]\nexec.pid = "token"', "exec.pid the treatment token, which does not fit", "Possible for it: keep."),
        ('base = "standard"\n[columns]\nexec.comm = "prefix"', "exec.comm the treatment prefix, which does not fit", "keep, drop, token, mask"),
        ('base = "standard"\n[kinds]\nhosts = "token"', "the kind hosts, which there is not", "host"),
        ('base = "standard"\n[kinds]\nnumber = "drop"', "the treatment drop, which does not fit", "keep"),
        ('base = "standrd"', "builds on standrd", "standard"),
        ('[kinds]\nhost = "token"', "does not say what becomes of the kind plain", "base"),
        ('base = "standard"\nkind = 1', "has a key kind", "kinds"),
        ('base = "standard"\nkinds = 1', "kinds that is no section", "[kinds]"),
        ('base = "standard"\n[kinds]\nhost = 1', "host the treatment 1", "Treatments:"),
        ("base = ", "is no TOML", "standard"),
    ],
)
def test_a_policy_that_is_wrong_says_what_is_possible(text: str, said: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError) as raised:
        load(write(tmp_path, text))
    assert said in raised.value.message
    assert hint in raised.value.hint
    assert raised.value.code == 2


def test_a_policy_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AnalyzerError, match="no policy standrad") as raised:
        load("standrad")
    assert "standard" in raised.value.hint
