"""What is made beside its place takes it when it is whole, in the place of nothing that it was not to replace; else nothing of it is left."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from analyzer.beside import beside, check_new, making, told
from analyzer.errors import AnalyzerError
from analyzer.unfinished import remove, unfinished


def file(made: Path) -> None:
    made.write_text("ours")


def folder(made: Path) -> None:
    (made / "inside").mkdir(parents=True)


def made_and(place: Path, make: Callable[[Path], None], then: Callable[[], object]) -> None:
    """Make something at ``place``, and do something before it gets there."""
    with making(place) as made:
        make(made)
        assert made.name in {path.name for path in place.parent.iterdir()}
        then()


@pytest.mark.parametrize("make", [file, folder])
@pytest.mark.parametrize("end", [RuntimeError, KeyboardInterrupt, OSError])
def test_what_fails_half_way_leaves_nothing(make: Callable[[Path], None], end: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(end):
        made_and(tmp_path / "x", make, mock.Mock(side_effect=end))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [file, folder])
def test_a_signal_that_would_kill_leaves_nothing_either(make: Callable[[Path], None], tmp_path: Path) -> None:
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with pytest.raises(SystemExit) as end:
        made_and(tmp_path / "x", make, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert end.value.code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_is_removed_does_not_keep_it(signum: int, tmp_path: Path) -> None:
    def remove_slowly(made: Path) -> None:
        os.kill(os.getpid(), signum)
        remove(made)

    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with mock.patch("analyzer.beside.remove", remove_slowly), pytest.raises(ValueError, match="what went wrong"):
        made_and(tmp_path / "x", folder, mock.Mock(side_effect=ValueError("what went wrong")))
    assert list(tmp_path.iterdir()) == []
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers


def test_a_signal_is_the_reason_whatever_a_library_makes_of_it(tmp_path: Path) -> None:
    def interrupted() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit:
            raise RuntimeError("Query interrupted") from None  # as DuckDB does

    with pytest.raises(SystemExit) as end:
        made_and(tmp_path / "x", file, interrupted)
    assert end.value.code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [file, folder])
@pytest.mark.parametrize("theirs", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
@pytest.mark.parametrize("has_links", [True, False], ids=["links", "no links"])
def test_what_somebody_made_meanwhile_is_left_alone(
    make: Callable[[Path], None], theirs: Callable[[Path], object], has_links: bool, tmp_path: Path
) -> None:
    place = tmp_path / "x"
    before: list[int] = []

    def come_first() -> None:
        theirs(place)
        before.append(place.lstat().st_ino)

    refused = PermissionError(1, "Operation not permitted")
    with mock.patch("os.link", side_effect=None if has_links else refused, wraps=os.link), pytest.raises(FileExistsError):
        made_and(place, make, come_first)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert [place.lstat().st_ino] == before


def test_a_file_is_there_under_one_name_also_where_there_are_no_hard_links(tmp_path: Path) -> None:
    for number, error in enumerate((None, PermissionError(1, "Operation not permitted"))):
        place = tmp_path / str(number)
        with mock.patch("os.link", side_effect=error, wraps=None if error else os.link), making(place) as made:
            file(made)
        assert (place.read_text(), place.stat().st_nlink) == ("ours", 1)
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_to_be_replaced_is_replaced_in_one_step(tmp_path: Path) -> None:
    place = tmp_path / "x"
    place.write_text("old")
    with making(place, replaces=True) as made:
        file(made)
        assert place.read_text() == "old"
    assert place.read_text() == "ours"


def test_a_folder_is_its_owners_alone(tmp_path: Path) -> None:
    with beside(tmp_path / "x") as made:
        (made / "file").write_text("")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o700


def test_places_where_nothing_can_be_made_are_named(tmp_path: Path) -> None:
    (tmp_path / "there").symlink_to("nowhere")
    for place, words in (
        (tmp_path / "there", "there exists"),
        (tmp_path / "no" / "x", "no is no folder"),
        (tmp_path / "there" / "x", "is no folder"),
    ):
        with pytest.raises(AnalyzerError, match=words) as error:
            check_new(place)
        assert error.value.code == 73
    with pytest.raises(AnalyzerError, match="cannot be made: File name too long"), told(tmp_path / "x"), beside(tmp_path / ("x" * 250)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_what_cannot_even_be_looked_for_is_not_looked_for_again(tmp_path: Path) -> None:
    before, denied = set(unfinished), PermissionError(13, "Permission denied")
    with mock.patch.object(Path, "lstat", side_effect=denied), pytest.raises(AnalyzerError, match="x cannot be made: Permission denied"):
        make_told(tmp_path / "x", denied)
    assert unfinished == before


def make_told(place: Path, error: OSError) -> None:
    with told(place), making(place):
        raise error
