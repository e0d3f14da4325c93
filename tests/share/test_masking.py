"""Arguments that stay: secrets are masked, names and addresses replaced, and everything else is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.share.masking import _PATTERNS, Masker, _is_suspicious, is_secret_flag, without_secrets
from analyzer.share.pseudonyms import Pseudonyms
from recorder.schema import Kind

MADE = Pseudonyms(b"k" * 32)
NAMES = {"checkout": "container-aaaaaaaaaaaaaaaa", "web1": "host-bbbbbbbbbbbbbbbb", "vm": "host-cccccccccccccccc"}
MASKER = Masker(MADE, NAMES, hide_paths=False)

GITHUB = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("--password=hunter2", "--password=***"),
        ("--password='two words'", "--password=***"),
        ("-Dspring.datasource.password=x", "-Dspring.datasource.password=***"),
        ("PGPASSWORD=hunter2 psql -h db", "PGPASSWORD=*** psql -h db"),
        ("DB_API_KEY=abc", "DB_API_KEY=***"),
        ("mysql --password hunter2 -e 'select 1'", "mysql --password *** -e 'select 1'"),
        ('{"token": "abc def", "n": 1}', '{"token": ***, "n": 1}'),
        ("user=bob&access_key=x&n=1", "user=bob&access_key=***&n=1"),
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer ***"),
        ("https://bob:hunter2@example.org/x?y=1", "https://***@example.org/x?y=1"),
        (f"https://{GITHUB}@github.com/a/b", "https://***@github.com/a/b"),
        ("postgresql://app:p%40ss@db/x", "postgresql://***@db/x"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        (AWS_SECRET, "***"),
        (f"echo {GITHUB}", "echo ***"),
        ("github_pat_11ABCDEFG0123456789_abcdefghij", "***"),
        (JWT, "***"),
        ("glpat-abcdefghij0123456789", "***"),
        ("xoxb-123456789012-abcdef", "***"),
        ("0123456789abcdef0123456789abcdef", "***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "***"),
    ],
)  # fmt: skip
def test_secrets_are_masked(text: str, masked: str) -> None:
    assert without_secrets(text) == masked
    assert without_secrets(masked) == masked, "the leak check takes what is masked once more for a secret"


PIECES = [
    "--password",
    "token",
    "Bearer",
    "basic",
    "=",
    ":",
    " ",
    "'",
    '"',
    "***",
    "x",
    "https://",
    "@",
    "a1B",
    GITHUB,
    AWS_SECRET,
    JWT,
    ";",
    "&",
    "-",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_masking_again_changes_nothing(text: str) -> None:
    masked = MASKER(text)
    assert without_secrets(masked) == masked


@given(
    st.lists(st.sampled_from([*PIECES, "npm_" + "a1" * 16, "sk_live_abcdefghij", "AIza" + "b" * 35, "-----BEGIN PRIVATE KEY-----"]), max_size=6).map(
        "".join
    )
)
def test_the_search_for_what_is_suspicious_misses_nothing(text: str) -> None:
    found = [pattern.pattern for pattern, _ in _PATTERNS if pattern.search(text)]
    assert _is_suspicious(text) or not found


@pytest.mark.parametrize("text", ["PA\u017f\u017fWORD=hunter2", "to\u212aen: hunter2", "ba\u017f\u0131c abcdefgh", "API-KEY=hunter2"])
def test_letters_that_are_others_in_lower_case_hide_no_secret(text: str) -> None:
    assert "hunter2" not in without_secrets(text)
    assert "abcdefgh" not in without_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "--password-file=/run/secrets/db",
        "--author=bob",
        "--tokenizer=gpt2",
        "--auth-type=basic",
        "keyboard=us",
        "git commit -m x",
        "/usr/lib/python3/dist-packages/numpy/core/x.so",
        "1b2c3d4e-0001-4002-8003-a1b2c3d4e5f6",
        "https://example.org/a@b",
        "std::vector<int>",
        "12:34:56",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert MASKER(text) == text


@pytest.mark.parametrize(
    ("flag", "is_one"), [("--password", True), ("-token", True), ("--db-passwd", True), ("--passive", False), ("password", False)]
)
def test_some_flags_announce_a_secret(flag: str, is_one: bool) -> None:
    assert is_secret_flag(flag) == is_one


def test_names_and_addresses_become_their_pseudonyms() -> None:
    four, six = MADE.address("10.0.0.5"), MADE.address("2001:db8::1")
    assert MASKER("ssh root@web1") == "ssh root@host-bbbbbbbbbbbbbbbb"
    assert MASKER("web11 vmlinux") == "web11 vmlinux", "short names count where they stand alone"
    assert MASKER("vm") == "host-cccccccccccccccc"
    assert MASKER("--host vm.internal /srv/vm-data") == "--host host-cccccccccccccccc.internal /srv/host-cccccccccccccccc-data"
    assert MASKER("/srv/checkouts") == "/srv/container-aaaaaaaaaaaaaaaas", "long ones everywhere"
    assert MASKER("--to=10.0.0.5:80") == f"--to={four}:80"
    assert MASKER("http://[2001:DB8:0::1]:80/") == f"http://[{six}]:80/"
    assert MASKER("tcp from 10.0.0.0/8 to 2001:db8::/32 25%") == f"tcp from {MADE.network('10.0.0.0/8')} to {MADE.network('2001:db8::/32')} 25%"
    assert MASKER("2001:db8::1: No route to host.") == f"{six}: No route to host."
    assert MASKER("http://10.0.0.5/8") == f"http://{four}/8", "no network, but an address and a path"
    assert MASKER("::ffff:10.0.0.5") == MADE.address("::ffff:10.0.0.5")
    assert MASKER("/home/alice/x") == f"/home/{MADE.token(Kind.USER, 'alice')}/x"
    assert MASKER("mac=52:54:00:12:34:56") == "mac=***"


def test_paths_are_hidden_where_names_of_files_are_tokens() -> None:
    hidden = Masker(MADE, {}, hide_paths=True)
    assert hidden("/opt/acme/x.bpftape: No space left on device") == f"{MADE.token(Kind.FILE, '/opt/acme/x.bpftape')}: No space left on device"
    assert hidden("1/2 and/or") == "1/2 and/or"
    tool = MADE.token(Kind.FILE, ".venv/bin/ruff")
    assert hidden(".venv/bin/ruff", is_argument=True) == tool, "as programs are called that a relative path names"
    assert hidden("cd x; .venv/bin/ruff --to=10.0.0.0/8", is_argument=True) == f"cd x; {tool} --to={MADE.network('10.0.0.0/8')}"


@pytest.mark.parametrize(
    "text",
    ["a-" * 2048, ":" * 4095 + "g", "/" * 4096, "-pass" * 800, "1." * 2048, "eyJaaaaaa." * 400, "A1a/" * 1024, "token" + " " * 4000, "://" * 1300],
)
def test_no_text_keeps_it_busy(text: str) -> None:
    began = time.process_time()
    MASKER(text)
    assert time.process_time() - began < 5, "some milliseconds, unless a pattern is quadratic in a bad way"
