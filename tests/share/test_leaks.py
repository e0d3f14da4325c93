"""The leak check: whatever was planted in the copy, nothing is handed out, and the message says where it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyzer.errors import AnalyzerError
from analyzer.share import copy, originals, run, sieve
from analyzer.share.columns import Columns
from analyzer.share.key import make_key
from analyzer.share.masking import Masker
from analyzer.share.pages import pages
from analyzer.share.pseudonyms import Pseudonyms
from analyzer.share.run import Request, share
from recorder.schema import Table, arrow_schema
from tests.rows import read_rows, write_recording

Patch = pytest.MonkeyPatch
treated = Columns.table


@pytest.fixture(params=["few", "too many for one search"], autouse=True)
def amount(request: pytest.FixtureRequest, monkeypatch: Patch) -> None:
    """Have every test made again with the sieve before the search, as where there are 200,000 originals and more."""
    if request.param != "few":
        monkeypatch.setattr(originals, "_AT_ONCE", 20)
        monkeypatch.setattr(sieve, "_SLOTS_LOG2", 20)


def refused(recording: Path, folder: Path, policy: str = "standard") -> str:
    """Assert that sharing ends with 1 and leaves nothing; return what it says."""
    with pytest.raises(AnalyzerError) as raised:
        share(Request(recording, folder / "copy", policy, None, False))
    assert raised.value.code == 1
    assert "nothing is handed out" in raised.value.message
    assert list(folder.iterdir()) == []
    return raised.value.message


def plant(monkeypatch: Patch, change: Callable[[Table, pa.Table, pa.Table], pa.Table]) -> None:
    """Have the copy made of what ``change`` returns for a table, its rows, and what was made of them."""

    def table(self: Columns, table: Table, rows: pa.Table, changed: dict[str, int]) -> pa.Table:
        return change(table, rows, treated(self, table, rows, changed))

    monkeypatch.setattr(Columns, "table", table)


COLUMNS = {
    "exec.comm": "a value that is no token",
    "exec.filename": "a value that is no token",
    "exec.argv": "a value that is no token",
    "recording.host": "a value that is no token",
    "container.container_id": "a value that is no token",
    "tcp_connect.daddr": "a value of ",
    "recording.filters": "a value of container.nodename",
}


@pytest.mark.parametrize(("column", "what"), COLUMNS.items())
def test_a_column_that_was_forgotten_is_found(column: str, what: str, monkeypatch: Patch, tmp_path: Path) -> None:
    made = read_rows()
    made["recording"][0]["filters"] = ["container=checkout-7c9f"]
    recording = write_recording(tmp_path / "recording", made)
    name, _, forgotten = column.partition(".")

    def change(table: Table, rows: pa.Table, made: pa.Table) -> pa.Table:
        if table.name != name:
            return made
        place = made.schema.get_field_index(forgotten)
        return made.set_column(place, made.schema.field(place), rows[forgotten].cast(made.schema.field(place).type))

    plant(monkeypatch, change)
    (tmp_path / "out").mkdir()
    said = refused(recording, tmp_path / "out")
    assert what in said
    assert f"in {column}" in said


def test_one_address_among_many_is_found(recording: Path, monkeypatch: Patch, tmp_path: Path) -> None:
    def change(table: Table, rows: pa.Table, made: pa.Table) -> pa.Table:
        if table.name != "tcp_close":
            return made
        texts = made["daddr"].to_pylist()
        texts[3] = rows["daddr"].to_pylist()[3]
        place = made.schema.get_field_index("daddr")
        return made.set_column(place, made.schema.field(place), pa.array(texts).dictionary_encode())

    plant(monkeypatch, change)
    assert "in tcp_close.daddr" in refused(recording, tmp_path)


@pytest.mark.parametrize(
    ("policy", "word", "said"), [("standard", "python3", "no token"), ("minimal", "checkout-7c9f", "a value of container.nodename")]
)
def test_a_value_that_no_row_has_is_found_in_the_dictionary(
    policy: str, word: str, said: str, recording: Path, monkeypatch: Patch, tmp_path: Path
) -> None:
    def change(table: Table, _rows: pa.Table, made: pa.Table) -> pa.Table:
        if table.name != "exec":
            return made
        comm = made["comm"].combine_chunks()
        more = pa.DictionaryArray.from_arrays(comm.indices, pa.concat_arrays([comm.dictionary, pa.array([word])]))
        return made.set_column(made.schema.get_field_index("comm"), made.schema.field("comm"), more)

    plant(monkeypatch, change)
    message = refused(recording, tmp_path, policy)
    assert said in message
    assert "exec.comm" in message


def test_a_name_in_key_value_metadata_is_found(recording: Path, monkeypatch: Patch, tmp_path: Path) -> None:
    add = pq.ParquetWriter.add_key_value_metadata
    monkeypatch.setattr(pq.ParquetWriter, "add_key_value_metadata", lambda self, more: add(self, {**more, "made_on": "web1"}))
    assert "key-value metadata that is not its own in " in refused(recording, tmp_path)


def test_a_name_in_the_schema_is_found(recording: Path, monkeypatch: Patch, tmp_path: Path) -> None:
    def marked(table: Table) -> pa.Schema:
        schema = arrow_schema(table)
        return schema.set(0, schema.field(0).with_metadata({"doc": "made on web1"}))

    monkeypatch.setattr(copy, "arrow_schema", marked)
    plant(monkeypatch, lambda table, _rows, made: made.cast(marked(table)))
    assert "a schema that is not its own" in refused(recording, tmp_path)


def test_a_name_in_the_manifest_is_found(recording: Path, monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "about", lambda *_: {"note": "of checkout-7c9f"})
    assert "a value of container.nodename in manifest.jsonl" in refused(recording, tmp_path)


@pytest.mark.parametrize(
    ("argument", "method", "said"),
    [
        ("--password=hunter22", "__call__", "a secret in exec.argv"),
        ("to checkout-7c9f", "_without_names", "a value of container.nodename in exec.argv"),
    ],
)
def test_what_masking_missed_is_found(argument: str, method: str, said: str, monkeypatch: Patch, tmp_path: Path) -> None:
    made = read_rows()
    made["exec"][0]["argv"] = ["ssh", argument]
    recording = write_recording(tmp_path / "recording", made)
    monkeypatch.setattr(Masker, method, lambda _, text, **_options: text)
    (tmp_path / "out").mkdir()
    assert said in refused(recording, tmp_path / "out", "minimal")


@pytest.mark.parametrize("policy", ["minimal", "standard", "strict"])
def test_names_that_are_words_of_the_format_are_no_leaks(policy: str, tmp_path: Path) -> None:
    made = read_rows()
    made["recording"][0]["host"] = "process"
    for row, word in zip(made["container"], ["connect", "container", "tracepoint", "docker", "recording_id", "connected"], strict=True):
        row |= {"name": word, "image": word, "nodename": word}
    share(Request(write_recording(tmp_path / "recording", made), tmp_path / "copy", policy, None, False))


def test_a_container_may_be_called_as_a_program_that_stays(tmp_path: Path) -> None:
    made = read_rows()
    made["container"][1] |= {"name": "grafana", "image": "grafana-server"}
    made["exec"][0] |= {"comm": "grafana-server", "filename": "/usr/bin/grafana-server", "argv": ["grafana-server", "--host=grafana"]}
    share(Request(write_recording(tmp_path / "recording", made), tmp_path / "copy", "minimal", None, False))
    found = pq.read_table(tmp_path / "copy" / "exec" / "000000.parquet").to_pylist()[0]
    assert found["comm"] == "grafana-server"
    assert "grafana" not in str(found["argv"])


def test_an_address_may_be_the_pseudonym_of_another_one(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    made = read_rows()
    made["tcp_connect"][0]["daddr"] = Pseudonyms(key).address("10.0.0.5")
    share(Request(write_recording(tmp_path / "recording", made), tmp_path / "copy", "standard", tmp_path / "key", False))


def test_more_originals_than_are_searched_for_at_once_are_found(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr("analyzer.share.originals._AT_ONCE", 2)
    recording = write_recording(tmp_path / "recording", read_rows())
    share(Request(recording, tmp_path / "copy", "standard", None, False))
    monkeypatch.setattr(run, "about", lambda *_: {"note": "registry.example/checkout:v42"})
    (tmp_path / "out").mkdir()
    assert "a value of container.image in manifest.jsonl" in refused(recording, tmp_path / "out")


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["zstd", "none", "snappy"])
def test_pages_have_the_bytes_that_values_are_made_of(version: str, compression: str, tmp_path: Path) -> None:
    table = pa.table(
        {"a": ["one", None, "three"] * 50, "n": pa.array(range(150)), "l": [["four"], None, []] * 50, "u": [f"five{n}" for n in range(150)]}
    )
    options: dict[str, Any] = {"data_page_version": version, "compression": compression, "use_dictionary": ["a", "l.list.element"]}
    pq.write_table(table, tmp_path / "x", **options)
    with pq.ParquetFile(tmp_path / "x") as file:
        found = list(pages(file, memoryview((tmp_path / "x").read_bytes())))
    texts = {column: b"".join(page.content for page in found if page.is_text and page.column == column) for column in ("a", "l.list.element", "u")}
    assert {page.column for page in found} == set(texts)
    assert b"one" in texts["a"]
    assert b"three" in texts["a"]
    assert texts["l.list.element"] == b"\x04\0\0\0four"
    assert all(f"five{n}".encode() in texts["u"] for n in range(150))
    assert any(b"three" in page.header for page in found), "statistics of a page are in its header"


def test_bytes_that_are_no_pages_are_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["one", "two"]}), tmp_path / "x")
    data = bytearray((tmp_path / "x").read_bytes())
    with pq.ParquetFile(tmp_path / "x") as file:
        data[4:40] = b"\xff" * 36
        with pytest.raises(ValueError, match="no page of a"):
            list(pages(file, memoryview(bytes(data))))
