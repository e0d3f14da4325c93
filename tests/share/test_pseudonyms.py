"""Tokens, and other numbers for users."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.share.pseudonyms import Pseudonyms, is_token
from recorder.schema import Kind

MADE = Pseudonyms(b"k" * 32)
TEXT = st.text(min_size=1, max_size=40)
TOKENS = sorted(set(Kind) - {Kind.PLAIN, Kind.TIME, Kind.NUMBER})


@pytest.mark.parametrize("kind", TOKENS)
def test_every_kind_of_text_has_tokens_of_its_own(kind: Kind) -> None:
    token = MADE.token(kind, "web1")
    assert is_token(token)
    assert MADE.token(kind, "web1") == token == Pseudonyms(b"k" * 32).token(kind, "web1")
    assert Pseudonyms(b"l" * 32).token(kind, "web1") != token
    assert [other for other in TOKENS if MADE.token(other, "web1").partition("-")[2][:8] == token.partition("-")[2][:8]] == [kind]


def test_tokens_are_what_they_were() -> None:
    """Copies that were made with earlier versions under the same key have to join."""
    assert MADE.tokens(Kind.HOST, ["web1", "", "db1", "web1"]) == ["host-dqgfovzmj6jxhryb", "", MADE.token(Kind.HOST, "db1"), "host-dqgfovzmj6jxhryb"]
    assert MADE.token(Kind.PROGRAM, "x") == "prog-ugwiawi2m3"


def test_tokens_of_more_names_than_are_remembered_stay_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"/srv/{number % 150}" for number in range(400)]
    whole = MADE.tokens(Kind.FILE, names)
    monkeypatch.setattr("analyzer.share.pseudonyms._REMEMBERED", 10)
    few = Pseudonyms(b"k" * 32)
    assert [token for start in range(0, 400, 7) for token in few.tokens(Kind.FILE, names[start : start + 7])] == whole
    assert len(set(whole)) == 150


@given(TEXT, TEXT)
def test_two_names_have_two_tokens(one: str, other: str) -> None:
    assert (MADE.token(Kind.FILE, one) == MADE.token(Kind.FILE, other)) == (one == other)
    assert one not in MADE.token(Kind.FILE, one) or len(one) < 6


def test_the_token_of_a_program_fits_where_the_kernel_keeps_names() -> None:
    assert len(MADE.token(Kind.PROGRAM, "a-very-long-name-of-a-program")) == 15


def test_the_first_twelve_characters_tell_ids_apart() -> None:
    """Reports show no more of a container's id."""
    assert len({MADE.token(Kind.ID, str(number))[:12] for number in range(20_000)}) == 20_000


def test_no_text_stays_no_text() -> None:
    assert MADE.token(Kind.FILE, "") == ""


@given(st.lists(st.integers(-(2**31), 2**31 - 1), unique=True))
def test_users_stay_apart_and_only_root_and_nobody_stay(uids: list[int]) -> None:
    made = [MADE.user(uid) for uid in uids]
    assert len(set(made)) == len(uids)
    assert all(-(2**31) <= uid < 2**31 for uid in made)
    assert {uid for uid in made if uid in (0, -1)} == {uid for uid in uids if uid in (0, -1)}


def test_users_that_follow_each_other_do_not_any_more() -> None:
    made = [MADE.user(uid) for uid in range(1000, 1050)]
    assert not any(abs(one - other) <= 1 for one, other in itertools.pairwise(made))
    assert Pseudonyms(b"l" * 32).user(1000) != MADE.user(1000)


def test_the_date_moves_back_by_years() -> None:
    year_us = 365 * 86_400 * 1_000_000
    shifts = {Pseudonyms(bytes([number]) * 32).shift_us for number in range(20)}
    assert len(shifts) == 20
    assert all(-21 * year_us <= shift <= -year_us for shift in shifts)


def test_the_id_of_a_copy_is_one_of_a_recording() -> None:
    made = MADE.recording_id("5eed0000000000000000000000000001")
    assert len(made) == 32
    assert int(made, 16)
    assert made == Pseudonyms(b"k" * 32).recording_id("5eed0000000000000000000000000001") != MADE.recording_id("other")
