"""The key file: made for its owner alone, and refused where others can read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from analyzer.errors import AnalyzerError
from analyzer.share.key import make_key, read_key


def test_a_key_is_made_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert read_key(path) is None
    before = os.umask(0)
    try:
        key = make_key(path)
    finally:
        os.umask(before)
    assert len(key) == 32
    assert read_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert make_key(tmp_path / "other") != key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o611])
def test_a_key_that_others_can_reach_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "key"
    make_key(path)
    path.chmod(mode)
    with pytest.raises(AnalyzerError, match=f"mode {mode:04o}") as raised:
        read_key(path)
    assert raised.value.code == 77
    assert f"chmod 600 {path}" in raised.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    make_key(path)
    os.chown(path, 1000, 1000)
    with pytest.raises(AnalyzerError, match="user 1000"):
        read_key(path)


@pytest.mark.parametrize("text", [b"", b"secret\n", b"00" * 31, b"00" * 33, b"\xff" * 64, b"zz" * 32])
def test_what_is_no_key_is_refused(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(AnalyzerError, match="holds no key") as raised:
        read_key(path)
    assert raised.value.code == 2


def test_a_key_is_a_file_and_is_not_made_through_a_link(tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="not a regular file"):
        read_key(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(AnalyzerError, match="not a regular file"):
        read_key(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AnalyzerError) as raised:
        make_key(tmp_path / "link")
    assert raised.value.code == 73
    with pytest.raises(AnalyzerError) as raised:
        make_key(tmp_path / "no" / "folder")
    assert raised.value.code == 73
