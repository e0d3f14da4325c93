"""The functions that reports have besides DuckDB's: right against Python's own, whatever they are given, and no way round the sandbox."""

from __future__ import annotations

import errno
import ipaddress
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer.catalog import index
from analyzer.errors import AnalyzerError
from analyzer.macros import MACROS, cidr_fault
from analyzer.recording import open_recording
from analyzer.sandbox import open_sandbox
from tests.analyzer.conftest import Analyze, error_of

Value = str | int | None


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for macro in MACROS.values():
            connection.execute(macro.definition)
        yield connection


def value(connection: duckdb.DuckDBPyConnection, sql: str, *arguments: Value) -> Any:
    return connection.execute(f"SELECT {sql}", arguments).fetchall()[0][0]


V4 = st.ip_addresses(v=4)
# As often as not with the runs of zeros that :: stands for.
V6 = st.one_of(
    st.ip_addresses(v=6),
    st.lists(st.sampled_from([0, 0, 0, 1, 0xFE80, 0xFFFF]), min_size=8, max_size=8).map(
        lambda groups: ipaddress.IPv6Address(b"".join(group.to_bytes(2) for group in groups))
    ),
)


@st.composite
def addresses_and_networks(draw: st.DrawFn) -> tuple[str, str]:
    """Return an address and a network, which begin alike half of the time."""
    address, other = draw(st.one_of(V4, V6)), draw(st.one_of(V4, V6))
    if draw(st.booleans()):
        other = type(address)(int(address) ^ 1 << draw(st.integers(0, address.max_prefixlen - 1)))
    text = draw(st.sampled_from([str(address), address.exploded, str(address).upper()]))
    return text, f"{other}/{draw(st.integers(0, other.max_prefixlen))}"


ODD_PAIRS = [
    ("::ffff:10.1.2.3", "::ffff:0:0/96"),
    ("10.1.2.3", "::ffff:10.0.0.0/104"),
    ("::1.2.3.4", "::1.2.3.4/127"),
    ("1:2:3:4:5:6:7::", "::/0"),
    ("::2:3:4:5:6:7:8", "0:2::/31"),
    ("255.255.255.255", "0.0.0.0/0"),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/128"),
]


@given(st.lists(addresses_and_networks(), min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
@example(ODD_PAIRS)
def test_in_cidr_is_what_pythons_ipaddress_says(connection: duckdb.DuckDBPyConnection, pairs: list[tuple[str, str]]) -> None:
    expected = [ipaddress.ip_address(ip) in ipaddress.ip_network(cidr, strict=False) for ip, cidr in pairs]
    rows = "VALUES " + ", ".join(f"({number}, '{ip}', '{cidr}')" for number, (ip, cidr) in enumerate(pairs))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE pairs AS FROM ({rows}) t(number, ip, cidr)")
    assert connection.execute("SELECT in_cidr(ip, cidr) FROM pairs ORDER BY number").fetchall() == [(found,) for found in expected]
    # And with a network that is a constant, over all addresses.
    network = ipaddress.ip_network(pairs[0][1], strict=False)
    found = connection.execute(f"SELECT in_cidr(ip, '{pairs[0][1]}') FROM pairs ORDER BY number").fetchall()
    assert found == [(ipaddress.ip_address(ip) in network,) for ip, _ in pairs]


NO_ADDRESS = st.one_of(
    st.text(max_size=12),
    st.text("0123456789abcfG.:/%x -", max_size=45),
    st.builds(
        lambda address, place, junk: str(address)[:place] + junk + str(address)[place:],
        st.one_of(V4, V6),
        st.integers(0, 39),
        st.text(".:1fg", max_size=2),
    ),
)


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


ODD_TEXTS = ["1:2:3:4:5:6:7::8", ":::", "010.1.1.1", "::ffff:1.2.3.256", "fe80::1%eth0", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4\n", ""]


@given(st.lists(NO_ADDRESS, min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
@example(ODD_TEXTS)
def test_what_is_no_address_is_in_no_network(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    connection.execute("CREATE OR REPLACE TEMP TABLE texts AS SELECT unnest($1) AS text, unnest(range(len($1))) AS number", [texts])
    for everything in ("0.0.0.0/0", "::/0"):
        expected = [((":" in text) == (":" in everything),) if is_address(text) else (None,) for text in texts]
        assert connection.execute(f"SELECT in_cidr(text, '{everything}') FROM texts ORDER BY number").fetchall() == expected


@given(NO_ADDRESS)
@settings(max_examples=60, deadline=None)
@example(ODD_TEXTS[0])
@example(ODD_TEXTS[1])
@example(ODD_TEXTS[6])
def test_what_is_no_address_is_no_network(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    for length in ("/7", ""):
        assert (cidr_fault(text + length) is None) == is_address(text)
        if not is_address(text):
            with pytest.raises(duckdb.InvalidInputException, match="is no address and no network"):
                value(connection, "in_cidr('::1', $1)", text + length)


@pytest.mark.parametrize(
    "cidr", ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/255.0.0.0", "10.0.0.0/8/8", " ::/0", "::/0\n"]
)
def test_a_length_that_cannot_be_is_a_fault(cidr: str, connection: duckdb.DuckDBPyConnection) -> None:
    assert cidr_fault(cidr) is not None
    with pytest.raises(duckdb.InvalidInputException, match="is no address and no network"):
        value(connection, "in_cidr('10.0.0.1', $1)", cidr)


def test_in_cidr_of_null_is_null(connection: duckdb.DuckDBPyConnection) -> None:
    for ip, cidr in ((None, "10.0.0.0/8"), (None, "::/0"), ("10.0.0.1", None), (None, None)):
        assert value(connection, "in_cidr($1, $2)", ip, cidr) is None


def test_a_network_without_a_length_is_one_address_and_bits_beyond_it_do_not_count(connection: duckdb.DuckDBPyConnection) -> None:
    assert [value(connection, f"in_cidr('{ip}', '10.1.2.3')") for ip in ("10.1.2.3", "10.1.2.2")] == [True, False]
    assert [value(connection, f"in_cidr('{ip}', 'fe80::1')") for ip in ("fe80::1", "fe80::")] == [True, False]
    assert value(connection, "in_cidr('10.255.0.1', '10.1.2.3/8')") is True


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "fe80::/10", "2001:db8::1"])
def test_what_depends_on_the_network_alone_is_computed_once(cidr: str, connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE OR REPLACE TEMP TABLE many AS SELECT concat('10.', i % 200, '.1.', i % 100) AS ip FROM range(1000) t(i)")
    plan = connection.execute(f"EXPLAIN SELECT in_cidr(ip, '{cidr}') FROM many").fetchall()[0][1]
    assert cidr not in plan
    assert "error(" not in plan


def test_errno_names_are_linuxs(connection: duckdb.DuckDBPyConnection) -> None:
    names = [value(connection, "errno_name($1)", number) for number in (0, 1, 11, 35, 98, 99, 104, 110, 111, 113, 133, 512)]
    assert names == [
        "OK", "EPERM", "EAGAIN", "EDEADLK", "EADDRINUSE", "EADDRNOTAVAIL", "ECONNRESET", "ETIMEDOUT", "ECONNREFUSED", "EHOSTUNREACH", "EHWPOISON",
        "ERESTARTSYS",
    ]  # fmt: skip
    names = [value(connection, "errno_name($1)", number) for number in (41, 58, 134, 511, 520, 532, 999, -111, 2**62)]
    assert names == [f"errno {number}" for number in (41, 58, 134, 511, 520, 532, 999, -111, 2**62)]
    assert value(connection, "errno_name(NULL)") is None


@pytest.mark.skipif(sys.platform != "linux", reason="Python knows the numbers of its own system only")
def test_errno_and_signal_names_are_those_that_python_has_on_linux(connection: duckdb.DuckDBPyConnection) -> None:
    for name in (name for name in dir(errno) if name.startswith("E")):
        number = getattr(errno, name)
        assert value(connection, "errno_name($1)", number) == {"ENOTSUP": "EOPNOTSUPP", "EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK"}.get(
            name, name
        )
    for item in signal.Signals:
        assert value(connection, "signal_name($1)", int(item)) == item.name


def test_signal_names(connection: duckdb.DuckDBPyConnection) -> None:
    names = [value(connection, "signal_name($1)", number) for number in (1, 9, 11, 31, 34, 35, 49, 50, 63, 64)]
    assert names == ["SIGHUP", "SIGKILL", "SIGSEGV", "SIGSYS", "SIGRTMIN", "SIGRTMIN+1", "SIGRTMIN+15", "SIGRTMAX-14", "SIGRTMAX-1", "SIGRTMAX"]
    names = [value(connection, "signal_name($1)", number) for number in (0, 32, 33, 65, -9)]
    assert names == ["signal 0", "signal 32", "signal 33", "signal 65", "signal -9"]
    assert value(connection, "signal_name(NULL)") is None


WRONG = {
    "SELECT pid\nFROM exec\nWHERE in_cidr(comm, '10.0.0.0/33')": (
        "error: --sql:3: '10.0.0.0/33' is no address",
        "    WHERE in_cidr(comm, '10.0.0.0/33')\n    " + " " * 20 + "^",
    ),
    "SELECT in_cidr(comm, cidr := '10/8') FROM exec": ("'10/8' is no address", "^"),
    "SELECT in_cidr('::1', min(comm)) FROM exec": ("in_cidr(): \\x1b]0;pwned\\x07 is no address", "Write a network as"),
    "SELECT in_cidr('::1', $net)": ("in_cidr(): \\x1b[2J is no address", ""),
    "SELECT in_cidr(comm) FROM exec": ("does not support the supplied arguments", "in_cidr(ip, cidr)"),
    "SELECT errno_nam(1)": ("errno_nam() is not allowed", "Did you mean errno_name?"),
    "SELECT _ipv4_number('10.0.0.1')": ("_ipv4_number() is not allowed", ""),
    "CREATE MACRO errno_name(n) AS 1": ("CREATE is not allowed", ""),
    "CREATE OR REPLACE MACRO in_cidr(a, b) AS true": ("CREATE is not allowed", ""),
    "DROP MACRO in_cidr": ("DROP is not allowed", ""),
    "SELECT * FROM in_cidr('::1', '::/0')": ("table function in_cidr() is not allowed", ""),
}


@pytest.mark.parametrize("sql", WRONG)
def test_a_mistake_is_named_with_its_place(sql: str, recording: Path, analyze: Analyze) -> None:
    stderr = error_of(analyze("--sql", sql, recording, *(["--param", "net=\x1b[2J"] if "$net" in sql else [])), 2)
    for said in WRONG[sql]:
        assert said in stderr
    assert "\x1b" not in stderr


def test_a_bad_network_is_an_error_where_there_are_no_rows_too(recording: Path) -> None:
    with open_sandbox([open_recording(recording)]) as sandbox, pytest.raises(AnalyzerError, match="is no address"):
        sandbox.prepare("SELECT 1 FROM exec WHERE false AND in_cidr(comm, '10.0.0.0.0/8')", "report")


def test_every_macro_works_in_a_report_and_again_in_the_next(recording: Path) -> None:
    sql = "SELECT errno_name(111), signal_name(signal), in_cidr(e.ip, $net), '::1'.IN_CIDR('::/0') FROM exit, (SELECT '10.1.1.1' AS ip) e "
    sql += "WHERE signal = 11"
    with open_sandbox([open_recording(recording)]) as sandbox:
        for _ in range(2):
            statement = sandbox.prepare(sql, "report")
            assert statement.macros == {"errno_name", "signal_name", "in_cidr"}
            result = sandbox.execute(statement, "report", {"net": "10.0.0.0/8"})
            assert [row for batch in result.batches for row in batch] == [("ECONNREFUSED", "SIGSEGV", True, True)]
        assert sandbox.prepare("SELECT 1", "report").macros == set()


def test_columns_may_have_any_name(connection: duckdb.DuckDBPyConnection) -> None:
    for ip, cidr in (("ip", "cidr"), ("cidr", "ip"), ("a", "g"), ("octets", "_nth"), ("n", "longest")):
        found = connection.execute(f"SELECT in_cidr({ip}, {cidr}), in_cidr(t.{ip}, t.{cidr}) FROM (VALUES ('fe80::1', 'fe80::/10')) t({ip}, {cidr})")
        assert found.fetchall() == [(True, True)]


def test_the_readme_of_the_reports_names_them() -> None:
    text = index()
    for macro in MACROS.values():
        assert f"`{macro.signature}`" in text
        assert macro.doc in text
