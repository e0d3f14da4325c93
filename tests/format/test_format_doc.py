"""FORMAT.md: its generated parts are fresh, and say what the schema says."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder import format_doc
from recorder.schema import TABLES, Encoding, Type


def test_the_generated_parts_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert format_doc.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_part_is_found_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "FORMAT.md"
    good = format_doc.fresh(format_doc.FORMAT_MD.read_text())
    path.write_text(good.replace("Depth of the pid namespace", "Height of the pid namespace", 1))
    assert format_doc.main(["--check"], path) == 1
    assert "python -m recorder.format_doc" in capsys.readouterr().err
    assert "Height" in path.read_text(), "--check changes nothing"
    assert format_doc.main([], path) == 0
    assert path.read_text() == good


def test_what_is_not_generated_is_left_alone() -> None:
    text = format_doc.FORMAT_MD.read_text()
    made = format_doc.fresh(text)
    assert format_doc.fresh(f"above\n{text}below\n") == f"above\n{made}below\n"


def test_a_lost_marker_is_an_error() -> None:
    text = format_doc.FORMAT_MD.read_text()
    with pytest.raises(ValueError, match="tables: end"):
        format_doc.fresh(text.replace("<!-- tables: end -->", ""))


def test_another_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert format_doc.main(["--chekc"]) == 2
    assert "usage" in capsys.readouterr().err


def test_every_column_of_every_table_has_its_row() -> None:
    text = format_doc.FORMAT_MD.read_text()
    parts = dict(part.split("\n", 1) for part in text.split("\n### ")[1:])
    assert list(parts) == [f"`{name}`" for name in TABLES]
    for table in TABLES.values():
        rows = [line.split(" | ") for line in parts[f"`{table.name}`"].splitlines() if line.startswith("| `")]
        assert [row[0].strip("| `") for row in rows] == [column.name for column in table.columns]
        assert [row[3].strip() == "yes" for row in rows] == [column.nullable for column in table.columns]
        assert {row[4] for row in rows} <= set(Encoding)


def test_every_type_has_its_row() -> None:
    text = format_doc.FORMAT_MD.read_text()
    assert [text.count(f"\n| `{type_}` |") for type_ in Type] == [1] * len(Type)
