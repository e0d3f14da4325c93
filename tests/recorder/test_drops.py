"""Rules of --drop: what they mean, what is said of those that mean nothing, and which would cut the caller's own SSH session."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import ssh
from recorder.drops import MOST_RULES, Rule, parse, parse_one
from recorder.errors import RecorderError
from recorder.filters import IPNetwork
from recorder.interfaces import Interface, carriers, find
from recorder.tracers.xdp import flags
from tests.support import REPO


def networks() -> st.SearchStrategy[IPNetwork]:
    v4 = st.builds(lambda ip, size: ipaddress.IPv4Network((ip, size), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32))
    v6 = st.builds(lambda ip, size: ipaddress.IPv6Network((ip, size), strict=False), st.integers(2**64, 2**128 - 1), st.integers(64, 128))
    return v4 | v6


@given(
    st.sampled_from(["tcp", "udp"]),
    st.none() | st.tuples(st.integers(1, 65_535), st.integers(0, 100)),
    st.none() | networks(),
    st.none() | networks(),
    st.integers(1, 100),
)
def test_what_a_rule_says_of_itself_is_read_as_the_same_rule(
    protocol: str, ports: tuple[int, int] | None, source: IPNetwork | None, destination: IPNetwork | None, percent: int
) -> None:
    if source and destination and source.version != destination.version:
        destination = None
    wanted = range(ports[0], min(ports[0] + ports[1], 65_535) + 1) if ports else None
    rule = Rule(protocol, wanted, source, destination, float(percent))
    assert parse_one(f"{rule}@eth0") == (rule, "eth0")
    assert rule.covers(rule) == (percent == 100)


@given(st.text(max_size=40))
def test_no_text_makes_anything_but_a_rule_or_an_error_with_a_hint(text: str) -> None:
    caught = None
    try:
        rule, interface = parse_one(text)
    except RecorderError as error:
        caught = error
    if caught is None:
        assert parse_one(f"{rule}@{interface}") == (rule, interface)
    else:
        assert (caught.code, caught.message.replace("\n", "").isprintable()) == (2, True)
        assert caught.hint


@pytest.mark.parametrize(
    ("text", "said", "mark", "hint"),
    [
        ("icmp form 10.0.0.0/8@lo", "'form' says nothing here", "     ^^^^", "did you mean from?"),
        ("imcp@lo", "'imcp' is no protocol", "^^^^", "did you mean icmp? There are: icmp, icmp6, tcp, udp"),
        ("tcp:0@lo", "give a port from 1 to 65535", "    ^", "--drop tcp:443@eth0"),
        ("tcp:80-70@lo", "give a port", "    ^^^^^", "tcp:8000-8100@eth0"),
        ("udp:@lo", "give a port", "    ^", "udp:443"),
        ("icmp6:128@lo", "it matches nothing ever: ICMP has no ports", "     ^^^^", "--drop icmp6@lo"),
        ("tcp from@lo", "a network is missing behind 'from'", "        ^", "from 10.0.0.0/8"),
        ("tcp to 10.0.0.1/8@lo", "10.0.0.1/8 has host bits set", "       ^^^^^^^^^^", "did you mean 10.0.0.0/8?"),
        ("tcp to fe80::1%eth0@lo", "a zone cannot be filtered by", "       ^^^^^^^^^^^^", "did you mean fe80::1/128?"),
        ("tcp from a from b@lo", "'a' does not appear to be", "         ^", "from 10.0.0.0/8"),
        ("tcp from ::1 from ::2@lo", "there is a second 'from'", "             ^^^^", "a rule of its own"),
        ("icmp from ::1@lo", "icmp is part of IPv4, ::1 of IPv6", "          ^^^", "did you mean icmp6?"),
        ("icmp6 to 10.0.0.1@lo", "icmp6 is part of IPv6, 10.0.0.1 of IPv4", "         ^^^^^^^^", "did you mean icmp?"),
        ("tcp from ::1 to 1.2.3.4@lo", "one end is IPv4, the other IPv6", "         ^^^", "each version of IP"),
        ("icmp 0%@lo", "above 0% and up to 100%", "     ^^", "icmp 25%@lo"),
        ("icmp 101%@lo", "above 0% and up to 100%", "     ^^^^", "icmp 25%@lo"),
        ("icmp 5% 5%@lo", "a second share", "        ^^", "a rule is PROTOCOL"),
        ("icmp", "on which interface?", "    ^", "--drop 'icmp@lo'"),
        ("icmp@ ", "the name of an interface is missing", "     ^", "ip link"),
        ("@lo", "what shall be dropped?", "^", "for example: --drop"),
        ("ic\x1bmp@lo", "no protocol", "^^^^^", "icmp"),
    ],
)
def test_an_error_points_at_what_is_wrong_and_gives_an_example(text: str, said: str, mark: str, hint: str) -> None:
    with pytest.raises(RecorderError) as caught:
        parse_one(text)
    _, shown, marked = caught.value.message.split("\n")
    assert said in caught.value.message
    assert (len(shown), marked) == (2 + len(text), "  " + mark)
    assert "\x1b" not in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("first", "second", "is_covered"),
    [
        ("tcp", "tcp:80", True),
        ("tcp:80-90", "tcp:85", True),
        ("tcp:80-90", "tcp:85-95", False),
        ("tcp 50%", "tcp", False),
        ("tcp", "udp", False),
        ("tcp from 10.0.0.0/8", "tcp from 10.1.0.0/16 to 10.2.0.0/16 50%", True),
        ("tcp from 10.0.0.0/8", "tcp", False),
        ("tcp from 0.0.0.0/0", "tcp from ::/0", False),
    ],
)
def test_a_rule_that_has_nothing_left_is_refused(first: str, second: str, is_covered: bool) -> None:
    words = [f"{first}@eth0", f"{second}@eth0"]
    if is_covered:
        with pytest.raises(RecorderError, match=f"since '{first}' takes all its packets"):
            parse(words, None, None, None, None)
    else:
        assert [str(rule) for rule in parse(words, None, None, None, None).rules["eth0"]] == [first, second]
    assert len(parse([f"{first}@eth0", f"{second}@eth1"], None, None, None, None).rules) == 2


def test_an_ipv4_network_may_be_written_as_ipv6_maps_it() -> None:
    assert str(parse_one("tcp from ::ffff:10.0.0.0/104@lo")[0]) == "tcp from 10.0.0.0/8"


def test_rules_reach_the_program_as_constants_only() -> None:
    rules = [parse_one(text)[0] for text in ("tcp:80-90 from 10.0.0.0/8 25%@x", "icmp6 to 2001:db8::/32@x")]
    count, constants, icmp = flags(rules)
    assert (count, icmp) == ("-DRULE_COUNT=2", "-DICMP_RULES=1")
    swapped = sys.byteorder == "little"
    ten, mask = (0x0A, 0xFF) if swapped else (0x0A000000, 0xFF000000)
    assert f"RULE(0, {{6,4,80,90,1073741824U,{{{ten}U,0U,0U,0U}},{{{mask}U,0U,0U,0U}},{{0U,0U,0U,0U}},{{0U,0U,0U,0U}}}})" in constants
    assert set(constants.removeprefix("-DRULES=")) <= set("RULE(){},U0123456789 ")


def test_there_is_an_end_to_how_many_rules_an_interface_takes() -> None:
    words = [f"tcp:{port}@eth0" for port in range(1, MOST_RULES + 1)]
    assert len(parse(words, None, None, None, None).rules["eth0"]) == MOST_RULES
    with pytest.raises(RecorderError, match=f"more than {MOST_RULES} rules on one interface"):
        parse([*words, "udp@eth0"], None, None, None, None)


OVER_4, OVER_6 = "192.0.2.9 51515 10.0.0.5 22", "2001:db8::9 51515 2001:db8::5 22"


@pytest.mark.parametrize(
    ("rule", "connection", "is_cut"),
    [
        ("tcp", OVER_4, True),
        ("tcp 1%", OVER_4, True),
        ("tcp:22", OVER_4, True),
        ("tcp:51000-52000", OVER_4, True),
        ("tcp:443", OVER_4, False),
        ("tcp from 192.0.2.0/24", OVER_4, True),
        ("tcp from 192.0.3.0/24", OVER_4, False),
        ("tcp to 10.0.0.5", OVER_4, True),
        ("tcp from ::/0", OVER_4, False),
        ("udp", OVER_4, False),
        ("icmp", OVER_4, False),
        ("icmp6", OVER_4, False),
        ("icmp6", OVER_6, True),  # neighbours are found by it
        ("tcp:22 from 2001:db8::/32", OVER_6, True),
        ("tcp", "::ffff:192.0.2.9 51515 ::ffff:10.0.0.5 22", True),
    ],
)
def test_which_rules_would_cut_an_ssh_session(rule: str, connection: str, is_cut: bool) -> None:
    session = ssh.parse(connection)
    assert session is not None
    assert ssh.cuts(parse_one(f"{rule}@eth0")[0], session) == is_cut


@pytest.mark.parametrize("text", ["", "1.2.3.4 5 6.7.8.9", "a b c d", "1.2.3.4 x 1.2.3.4 22"])
def test_what_is_no_ssh_session_is_none(text: str) -> None:
    assert ssh.parse(text) is None


def test_the_session_is_found_behind_a_program_that_clears_the_environment() -> None:
    code = "from recorder import ssh; print(ssh.of_caller().peer)"
    words = ["/bin/sh", "-c", 'env -u SSH_CONNECTION "$@"; :', "sh", sys.executable, "-c", code]
    environment = {**os.environ, "SSH_CONNECTION": OVER_4}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60, cwd=REPO)
    assert done.stdout == "192.0.2.9\n", done.stderr


def test_a_session_comes_in_by_all_that_carries_its_interface() -> None:
    known = {
        interface.name: interface
        for interface in (
            Interface("eth0", 2, is_up=True, has_ethernet=True, master=5),
            Interface("eth1", 3, is_up=True, has_ethernet=True, master=5),
            Interface("eth2", 4, is_up=True, has_ethernet=True),
            Interface("bond0", 5, is_up=True, has_ethernet=True),
            Interface("bond0.7", 6, is_up=True, has_ethernet=True, below=5),
        )
    }
    assert carriers("bond0.7", known) == {"bond0.7", "bond0", "eth0", "eth1"}
    assert carriers("eth2", known) == {"eth2"}


def test_an_interface_that_does_not_exist_is_answered_with_those_that_do() -> None:
    known = {name: Interface(name, number, is_up=True, has_ethernet=True) for number, name in enumerate(("lo", "eth0", "eth1"), 1)}
    with pytest.raises(RecorderError, match="there is no interface eht0") as caught:
        find("eht0", known)
    assert caught.value.hint == "did you mean eth0? There are: lo, eth0, eth1"


def test_no_module_of_the_network_is_imported_where_nothing_is_dropped() -> None:
    code = "import sys, recorder.session, recorder.attach; print({'pyroute2', 'psutil'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=Path(REPO))
    assert done.stdout == "set()\n"
