"""``bpftape share``: what is in the copy, and what is not."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analyzer.packing import pack
from analyzer.recording import open_recording
from analyzer.share.pseudonyms import is_token
from analyzer.share.run import Request, share
from recorder.schema import TABLES, Kind, Type
from tests.rows import read_rows, wall_clock, write_recording
from tests.share.conftest import POLICIES
from tests.support import Cli

# What stands in the fixture's columns and must be in no byte of a copy; short ones come up by chance in compressed bytes.
_ADDRESSES = ["172.17.0.2", "192.0.2.1", "93.184.216.34", "2001:db8::10"]
_CONTAINERS = ["3f4e12aa90bc", "docker-3f4e", "kubepods", "registry.example", "checkout-7c9f", "1b2c3d4e-0001", "nginx:1.27"]
_IDS = ["0123456789abcdef0123456789abcdef", "11111111-2222", "5eed00000000000000000000"]
HIDDEN = {"minimal": [*_ADDRESSES, *_CONTAINERS, *_IDS]}
HIDDEN["standard"] = [*HIDDEN["minimal"], "/usr/bin/make", "serve.py", "/opt/worker", "systemd/systemd", "python3", "checkout", "exporter", "proxy"]
HIDDEN["strict"] = [*HIDDEN["standard"], "6.1.0-40-amd64"]


def everything(folder: Path) -> bytes:
    """Return all bytes of a recording's files, and all its values as text, since most bytes are compressed."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    values = [str(pq.read_table(path).to_pylist()).encode() for path in files if path.suffix == ".parquet"]
    metadata = [str(pq.read_metadata(path).metadata).encode() for path in files if path.suffix == ".parquet"]
    return b"\n".join([*(path.read_bytes() for path in files), *values, *metadata])


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    return [row for path in sorted((folder / table).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("policy", POLICIES)
def test_no_original_is_in_the_copy(policy: str, recording: Path, copies: dict[str, Path]) -> None:
    before, after = everything(recording), everything(copies[policy])
    assert [text for text in HIDDEN[policy] if text.encode() not in before] == [], "the recording must have what the copy must not"
    assert [text for text in HIDDEN[policy] if text.encode() in after] == []


@pytest.mark.parametrize("policy", POLICIES)
def test_the_copy_is_a_whole_recording_for_its_owner_alone(policy: str, copies: dict[str, Path], cli: Cli) -> None:
    verified = cli("bpftape", "verify", "--decode", copies[policy])
    assert (verified.returncode, "whole" in verified.stdout) == (0, True), verified.stdout + verified.stderr
    assert cli("bpftape", "info", copies[policy]).returncode == 0
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in (copies[policy], *copies[policy].rglob("*"))}
    assert modes == {True: 0o700, False: 0o600}


def test_what_is_plain_stays_and_the_rest_is_other(recording: Path, copies: dict[str, Path]) -> None:
    for table in TABLES.values():
        for old, new in zip(rows(recording, table.name), rows(copies["standard"], table.name), strict=True):
            for column in table.columns:
                if column.kind in (Kind.PLAIN, Kind.NUMBER, Kind.TIME, Kind.SYSTEM):
                    assert new[column.name] == old[column.name]
                elif column.kind is Kind.RULE:
                    assert (new[column.name] != old[column.name]) == ("/" in str(old[column.name])), "networks are other ones, all else stays"
                elif column.kind is not Kind.MESSAGE and old[column.name] not in (None, "", []) and column.type is not Type.INT32:
                    assert new[column.name] != old[column.name]
                assert (new[column.name] is None) == (old[column.name] is None)


def test_one_value_has_one_token_in_every_table(recording: Path, copies: dict[str, Path]) -> None:
    for kind in (Kind.PROGRAM, Kind.ADDRESS, Kind.HOST, Kind.CONTAINER, Kind.ID, Kind.FILE, Kind.USER):
        pairs = {
            (old[column.name], new[column.name])
            for table in TABLES.values()
            for old, new in zip(rows(recording, table.name), rows(copies["standard"], table.name), strict=True)
            for column in table.columns
            if column.kind is kind and old[column.name] is not None
        }
        assert len({old for old, _ in pairs}) == len({new for _, new in pairs}) == len(pairs) > 0, kind


def test_arguments_are_gone_but_for_the_program(copies: dict[str, Path]) -> None:
    for row in rows(copies["standard"], "exec"):
        assert row["argv"] is None or (len(row["argv"]) == 1 and is_token(row["argv"][0]))
    assert {tuple(row["argv"] or ()) for row in rows(copies["strict"], "exec")} == {()}


def test_minimal_keeps_arguments_without_secrets(tmp_path: Path) -> None:
    made = read_rows()
    arguments = [
        ["mysql", "-pHunter22xyzzy", "-u", "bob"],
        ["curl", "-u", "bob:Hunter22xyzzy", "--token", "Hunter22xyzzy", "http://10.0.0.5/"],
        ["sh", "-c", "PGPASSWORD=Hunter22xyzzy psql -h web1 10.0.0.5"],
        ["docker", "exec", "checkout", "ls", "/home/alice"],
        ["grep", "-p", "pattern", "file"],
        [],
    ]
    for row, argv in zip(made["exec"], arguments, strict=False):
        row["argv"] = argv
    copy = tmp_path / "copy.bpftape"
    share(Request(write_recording(tmp_path / "x.bpftape", made), copy, "minimal", None, False))
    found = [row["argv"] for row in rows(copy, "exec")][: len(arguments)]
    assert found[0] == ["mysql", "-p***", "-u", "bob"]
    assert found[1][:5] == ["curl", "-u", "bob:***", "--token", "***"]
    assert found[2][2].startswith("PGPASSWORD=*** psql -h host-")
    assert found[3][:2] == ["docker", "exec"]
    assert is_token(found[3][2])
    assert found[4:] == arguments[4:]
    assert b"Hunter22xyzzy" not in everything(copy)
    # The address in an argument is the one of the connections.
    address = next(row["saddr"] for row, old in zip(rows(copy, "tcp_connect"), made["tcp_connect"], strict=True) if old["saddr"] == "10.0.0.5")
    assert found[1][5] == f"http://{address}/"
    assert found[2][2].endswith(f" {address}")


def test_filters_stay_readable_without_their_values(tmp_path: Path) -> None:
    made = read_rows()
    made["recording"][0]["filters"] = [
        "container=web",
        "daddr=10.0.0.0/8",
        "port=443",
        "uid=1000",
        "uid=alice",
        "comm=serve",
        "containers-only",
        "new=thing",
    ]
    copy = tmp_path / "copy.bpftape"
    share(Request(write_recording(tmp_path / "x.bpftape", made), copy, "standard", None, False))
    found = dict(word.partition("=")[::2] for word in rows(copy, "recording")[0]["filters"])
    assert (found["port"], found["containers-only"]) == ("443", "")
    assert found["container"] == next(row["name"] for row in rows(copy, "container") if row["name"])
    assert found["comm"] in {row["comm"] for row in rows(copy, "tcp_connect")}
    assert found["daddr"].endswith("/8")
    assert is_token(found["new"])
    assert "alice" not in str(found)


def test_copies_under_one_key_join_and_under_another_do_not(recording: Path, copies: dict[str, Path], tmp_path: Path) -> None:
    key = copies["standard"].parent / "key"
    share(Request(recording, tmp_path / "same", "standard", key, False))
    share(Request(recording, tmp_path / "other", "standard", None, False))
    assert rows(tmp_path / "same", "exec") == rows(copies["standard"], "exec")
    assert {row["comm"] for row in rows(tmp_path / "other", "exec")} & {row["comm"] for row in rows(tmp_path / "same", "exec")} == set()
    assert open_recording(tmp_path / "same").id == open_recording(copies["standard"]).id != open_recording(tmp_path / "other").id


def test_a_packed_recording_is_shared_as_its_folder_is(recording: Path, tmp_path: Path, cli: Cli) -> None:
    packed = pack(recording, tmp_path / "packed.bpftape.zip")
    for source, output in ((recording, "folder"), (packed, "pack")):
        done = cli("bpftape", "share", source, "--output", tmp_path / output, "--key", tmp_path / "key", "--policy", "minimal")
        assert done.returncode == 0, done.stderr
    files = sorted(str(path.relative_to(tmp_path / "folder")) for path in (tmp_path / "folder").rglob("*") if path.is_file())
    assert len(files) > 20
    assert [(tmp_path / "folder" / file).read_bytes() == (tmp_path / "pack" / file).read_bytes() for file in files] == [True] * len(files)


def test_strict_has_another_date_but_the_same_time_line(recording: Path, copies: dict[str, Path]) -> None:
    shifts = {
        new["ts"] - old["ts"]
        for table in ("clone", "exec", "coverage", "cost")
        for old, new in zip(rows(recording, table), rows(copies["strict"], table), strict=True)
    }
    assert len(shifts) == 1
    offset_ns = next(row["realtime_ns"] - row["boottime_ns"] for row in rows(copies["strict"], "clock"))
    for row in rows(copies["strict"], "clone"):
        assert row["ts"] == wall_clock(row["ts_ns"] + offset_ns)


def test_the_manifest_says_what_was_changed(copies: dict[str, Path]) -> None:
    said = json.loads((copies["standard"] / "manifest.jsonl").read_text().splitlines()[0])["shared"]
    assert said["policy"] == "standard"
    assert said["kinds"]["address"] == "prefix"
    assert said["columns"]["tcp_connect.daddr"] == {"treatment": "prefix", "values": 25}
    assert "tcp_connect.dport" not in said["columns"]
    key = (copies["standard"].parent / "key").read_text().strip()
    assert key not in everything(copies["standard"]).decode("latin-1")
    assert {pq.read_metadata(path).metadata[b"bpftape.shared"] for path in copies["standard"].rglob("*.parquet")} == {b"standard"}


def test_dry_run_says_the_same_and_writes_nothing(recording: Path, tmp_path: Path, cli: Cli) -> None:
    arguments = ("bpftape", "share", recording, "--output", tmp_path / "copy", "--key", tmp_path / "key", "--json")
    planned = cli(*arguments, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert list(tmp_path.iterdir()) == []
    done = cli(*arguments)
    assert done.returncode == 0, done.stderr
    before, after = json.loads(planned.stdout), json.loads(done.stdout)
    assert before["output"] is None
    assert {**before, "output": None, "key": None} == {**after, "output": None, "key": None}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "key"]


def test_the_command_says_what_it_did_and_that_the_key_is_gone(recording: Path, tmp_path: Path, cli: Cli) -> None:
    done = cli("bpftape", "share", recording, "--output", tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    assert ["argv", "argv", "program", "10", "exec"] in [line.split() for line in done.stdout.splitlines()]
    assert "The leak check found nothing." in done.stdout
    assert "random, and forgotten" in done.stdout


def test_tables_and_columns_that_nobody_knows_are_left_out(tmp_path: Path) -> None:
    folder = write_recording(tmp_path / "x.bpftape", read_rows())
    manifest = folder / "manifest.jsonl"
    lines = manifest.read_text().splitlines()
    line = next(json.loads(line) for line in lines if '"table": "exit"' in line)
    (folder / "flight").mkdir()
    (folder / "flight" / "000000.parquet").write_bytes((folder / line["path"]).read_bytes())
    manifest.write_text("\n".join([*lines, json.dumps(line | {"table": "flight", "path": "flight/000000.parquet"})]) + "\n")
    summary = share(Request(folder, tmp_path / "copy", "standard", None, False))
    assert summary.left_out == ("flight",)
    assert not (tmp_path / "copy" / "flight").exists()
