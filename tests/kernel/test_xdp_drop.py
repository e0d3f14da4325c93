"""record --drop: what it takes is counted to the packet and gone, all else is untouched, and it keeps to its window."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from recorder import bpf_call
from recorder.interfaces import interfaces
from tests.kernel.frames import within
from tests.kernel.harness import Recording, eventually, launched, recorder, run_record
from tests.kernel.net import Namespace, add_cable, namespace, of, only
from tests.kernel.pings import Pinging, ping, xdp_of
from tests.kernel.test_bad_input import refused
from tests.kernel.test_xdp_rules import loaded

SECOND = 1_000_000_000


@pytest.fixture
def cable() -> Iterator[tuple[Namespace, Namespace]]:
    """Two hosts, 10.77.0.1 and 10.77.0.2, with a cable between them."""
    with namespace() as left, namespace() as right:
        add_cable(left, right)
        yield left, right


def packets(recording: Recording, table: str, **wanted: object) -> int:
    return sum(row["packets"] for row in recording.rows(table, **wanted))


def probe(recording: Recording, interface: str) -> dict[str, object]:
    return only(recording.rows("probe", tracer="xdp", interface=interface))


def test_each_ping_is_counted_none_is_answered_and_tcp_goes_on(tmp_path: Path, cable: tuple[Namespace, Namespace]) -> None:
    left, right = cable
    assert len(ping(left, "10.77.0.2", 3).answered) == 3
    with recorder(tmp_path / "r.bpftape", "--tracers", "tcp", "--drop", "icmp@right", wrapper=right.inside()) as running:
        assert xdp_of(right, "right") is not None
        pings = ping(left, "10.77.0.2", 23)
        refusals = [left.inside("/usr/bin/curl", "-s", "http://10.77.0.2:9/") for _ in range(5)]
        said = [os.spawnv(os.P_WAIT, words[0], words) for words in refusals]
        recording = running.stop()
    assert (pings.sent, pings.answered) == (23, frozenset())
    assert said == [7] * 5, "curl: the other side refused at once"
    rows = recording.table("xdp_drop")
    assert sum(row["packets"] for row in rows) == 23
    assert sum(row["bytes"] for row in rows) == 23 * (14 + 20 + 8 + 56)
    assert {(row["rule"], row["protocol"], row["type"], row["code"], row["interface"], row["mode"]) for row in rows} == {
        ("icmp", "icmp", 8, 0, "right", "native")
    }
    assert packets(recording, "xdp_pass") >= 5
    assert recording.lost("xdp_drop") == 0
    found = probe(recording, "right")
    assert (found["status"], found["mode"], found["rules"], found["reason"]) == ("attached", "native", ["icmp"], None)
    assert "dropped on purpose: 23 packets by icmp@right" in running.said()
    assert len(ping(left, "10.77.0.2", 3).answered) == 3, "nothing stays behind"


def test_intervals_follow_each_other_and_lie_between_attach_and_detach(tmp_path: Path, cable: tuple[Namespace, Namespace]) -> None:
    left, right = cable
    with recorder(tmp_path / "r.bpftape", "--tracers", "xdp", "--drop", "icmp@right", wrapper=right.inside()) as running:
        pings = ping(left, "10.77.0.2", 80)
        recording = running.stop()
    assert packets(recording, "xdp_drop") == pings.sent == 80
    rows, found = of(recording, "xdp_drop"), probe(recording, "right")
    assert len(rows) >= 4
    for row, after in itertools.pairwise(rows):
        assert row["ts_ns"] + row["interval_ns"] <= after["ts_ns"]
    assert all(row["interval_ns"] < SECOND for row in rows)
    assert rows[0]["ts_ns"] >= int(str(found["attached_ns"])) - SECOND
    # The last sample is taken when nothing can be dropped any more.
    assert rows[-1]["ts_ns"] <= int(str(found["detached_ns"]))


def test_nothing_is_dropped_outside_of_the_window(tmp_path: Path, cable: tuple[Namespace, Namespace]) -> None:
    left, right = cable
    pinging = Pinging(left, "10.77.0.2")
    options = ["--tracers", "xdp", "--drop", "icmp@right", "--drop-after", 1, "--drop-for", 1.2, "--segment-seconds", 1]
    with recorder(tmp_path / "r.bpftape", *options, wrapper=right.inside()) as running:
        assert xdp_of(right, "right") is None
        before = Recording(tmp_path / "r.bpftape")
        eventually("the window has closed, and that is written down", lambda: any(row["detached_ns"] for row in before.rows("probe", tracer="xdp")))
        assert xdp_of(right, "right") is None
        recording = running.stop()
    pings = pinging.end()
    unanswered = set(range(1, pings.sent + 1)) - pings.answered
    # The last ping may still have been under way when ping ended.
    assert packets(recording, "xdp_drop") in (len(unanswered), len(unanswered - {pings.sent}))
    assert 10 <= len(unanswered) <= pings.sent - 20
    about, found = recording.about(), probe(recording, "right")
    opened, closed = (int(str(found[name])) - about["start_ns"] for name in ("attached_ns", "detached_ns"))
    assert opened >= SECOND
    assert opened + SECOND <= closed < about["end_ns"] - about["start_ns"]
    coverage = of(recording, "coverage", table="xdp_drop")
    assert all(row["attached"] for row in coverage), "outside of the window nothing was to be attached"
    assert sum(row["interval_ns"] for row in coverage) == about["end_ns"] - about["start_ns"]


def test_of_a_share_what_is_dropped_and_what_is_answered_add_up(tmp_path: Path, cable: tuple[Namespace, Namespace]) -> None:
    left, right = cable
    with recorder(tmp_path / "r.bpftape", "--tracers", "xdp", "--drop", "icmp 50%@right", wrapper=right.inside()) as running:
        pings = ping(left, "10.77.0.2", 80)
        recording = running.stop()
    assert packets(recording, "xdp_drop") + len(pings.answered) == pings.sent == 80
    assert 10 <= len(pings.answered) <= 70


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_the_mode_can_be_forced(tmp_path: Path, cable: tuple[Namespace, Namespace], mode: str) -> None:
    left, right = cable
    options = ["--tracers", "xdp", "--drop", "icmp@right", "--xdp-mode", mode]
    with recorder(tmp_path / "r.bpftape", *options, wrapper=right.inside()) as running:
        found = xdp_of(right, "right")
        pings = ping(left, "10.77.0.2", 7)
        recording = running.stop()
    assert found is not None
    assert found["mode"] == {"native": 1, "generic": 2}[mode]  # XDP_ATTACHED_DRV, XDP_ATTACHED_SKB of linux/if_link.h
    assert (packets(recording, "xdp_drop", mode=mode), pings.answered) == (7, frozenset())
    assert probe(recording, "right")["program_id"] == found["prog"]["id"]


def test_on_loopback_it_is_generic_mode_and_the_reason_is_told(tmp_path: Path) -> None:
    with namespace() as place:
        with recorder(tmp_path / "r.bpftape", "--drop", "icmp@lo", "--tracers", "xdp", wrapper=place.inside()) as running:
            pings = ping(place, "127.0.0.1", 11)
            recording = running.stop()
        assert (packets(recording, "xdp_drop", interface="lo", mode="generic"), pings.answered) == (11, frozenset())
        assert str(probe(recording, "lo")["reason"]).startswith("no native mode: ")
        assert "dropping icmp on lo, generic mode (no native mode: " in running.said()
        done = run_record("--drop", "icmp@lo", "--xdp-mode", "native", "--output", tmp_path / "n.bpftape", wrapper=place.inside())
        refused(done, 70, "lo takes no XDP program in native mode", "--xdp-mode generic")
        assert not (tmp_path / "n.bpftape").exists()


def test_several_interfaces_have_programs_of_their_own_and_cost_adds_them_up(tmp_path: Path, cable: tuple[Namespace, Namespace]) -> None:
    left, right = cable
    drops = ["--drop", "icmp@right", "--drop", "udp:1-100@right", "--drop", "icmp@lo"]
    with recorder(tmp_path / "r.bpftape", "--tracers", "xdp", "--segment-seconds", 1, *drops, wrapper=right.inside()) as running:
        ping(left, "10.77.0.2", 5)
        ping(right, "127.0.0.1", 4)
        before = Recording(tmp_path / "r.bpftape")
        eventually("what that cost is written down", lambda: sum(row["run_count"] for row in before.rows("cost", program="drop_packets")) >= 9)
        recording = running.stop()
    assert {row["interface"]: row["rules"] for row in recording.rows("probe", tracer="xdp")} == {"right": ["icmp", "udp:1-100"], "lo": ["icmp"]}
    assert [packets(recording, "xdp_drop", interface=name) for name in ("right", "lo")] == [5, 4]
    runs = sum(row["run_count"] for row in recording.rows("cost", program="drop_packets"))
    assert runs == packets(recording, "xdp_drop") + packets(recording, "xdp_pass")


@pytest.mark.parametrize("how", ["native", "generic"])
def test_a_program_that_is_there_stays_and_is_named(tmp_path: Path, cable: tuple[Namespace, Namespace], how: str) -> None:
    left, right = cable
    with loaded("udp") as (program, _):
        index = within(right, interfaces)["right"].index
        program_id, _link = within(right, lambda: program.attach_xdp("drop_packets", index, how))
        before = xdp_of(right, "right")
        for mode in ([], ["--xdp-mode", "native"], ["--xdp-mode", "generic"]):
            done = run_record("--drop", "icmp@right", "--output", tmp_path / "r.bpftape", *mode, wrapper=right.inside())
            refused(done, 70, f"right has an XDP program already: id {program_id} (drop_packets)", "ip link set right xdp off")
        assert xdp_of(right, "right") == before
        assert len(ping(left, "10.77.0.2", 3).answered) == 3
    assert not (tmp_path / "r.bpftape").exists()


def test_a_program_that_came_before_the_window_ends_the_recording(tmp_path: Path, cable: tuple[Namespace, Namespace]) -> None:
    left, right = cable
    options = ["--tracers", "xdp", "--drop", "icmp@right", "--drop-after", 1]
    with loaded("udp") as (program, _), launched(tmp_path / "r.bpftape", *options, wrapper=right.inside()) as running:
        running.errors.wait_for("^recording ")
        index = within(right, interfaces)["right"].index
        program_id, _link = within(right, lambda: program.attach_xdp("drop_packets", index, "native"))
        assert running.await_end() == 70
        assert len(ping(left, "10.77.0.2", 3).answered) == 3
    # Its name would take CAP_SYS_ADMIN, which was given up by then.
    assert f"error: right has an XDP program already: id {program_id}\n" in running.said()
    recording = Recording(tmp_path / "r.bpftape")
    found = probe(recording, "right")
    assert (found["status"], found["attached_ns"], found["detached_ns"]) == ("failed", None, None)
    assert recording.about()["clean_end"] is False


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--drop", "icmp@rihgt"], 2, ["there is no interface rihgt", "did you mean right?", "There are: lo, right"]),
        (["--drop", "icmp@unused"], 2, ["unused is down", "ip link set unused up"]),
        (["--drop", "icmp@tunnel"], 2, ["tunnel has no Ethernet frames"]),
        (["--drop", "icmp:8@right"], 2, ["it matches nothing ever: ICMP has no ports", "\n  icmp:8@right\n      ^^\n"]),
        (["--drop", "icmp@right", "--drop", "icmp from 10.0.0.0/8@right"], 2, ["since 'icmp' takes all its packets"]),
        (["--drop-for", "5"], 2, ["--drop-for says when or how to drop, but not what"]),
        (["--drop", "icmp@right", "--drop-after", "5", "--duration", "5"], 2, ["the recording ends after 5 s"]),
        (["--drop", "icmp@right", "--drop-for", "0"], 2, ["--drop-for 0"]),
        (["--drop", "icmp@right", "--xdp-mode", "fast"], 2, ["--xdp-mode fast: there are native and generic"]),
        (["--tracers", "xdp"], 2, ["nothing was asked to be dropped"]),
        ([word for port in range(1, 34) for word in ("--drop", f"tcp:{port}@right")], 2, ["more than 32 rules on one interface"]),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_what_cannot_be_is_said_with_what_to_do(tmp_path: Path, bad_place: Namespace, options: Sequence[str], code: int, said: Sequence[str]) -> None:
    done = run_record(*options, "--output", tmp_path / "r.bpftape", wrapper=bad_place.inside())
    refused(done, code, *said)
    assert not (tmp_path / "r.bpftape").exists()


@pytest.fixture(scope="module")
def bad_place() -> Iterator[Namespace]:
    with namespace() as left, namespace() as right:
        add_cable(left, right)
        right.ip("link", "add", "unused", "type", "veth", "peer", "name", "other")
        right.ip("tuntap", "add", "tunnel", "mode", "tun")
        right.ip("link", "set", "tunnel", "up")
        yield right


def test_without_the_privilege_to_drop_that_is_said(tmp_path: Path) -> None:
    lacking = ["setpriv", "--bounding-set=-all,+bpf,+perfmon,+dac_read_search", "--inh-caps=-all"]
    done = run_record("--drop", "icmp@lo", "--output", tmp_path / "r.bpftape", wrapper=lacking)
    refused(done, 77, "CAP_NET_ADMIN")


SSH_HERE = "10.77.0.1 51515 10.77.0.2 22"


@pytest.mark.parametrize("where", ["own", "of the shell behind sudo"])
def test_the_callers_own_ssh_session_is_not_cut(tmp_path: Path, cable: tuple[Namespace, Namespace], where: str) -> None:
    _, right = cable
    if where == "own":
        wrapper = [*right.inside("/usr/bin/env"), f"SSH_CONNECTION={SSH_HERE}"]
    else:  # sudo takes the variable away
        wrapper = [*right.inside("/usr/bin/env"), f"SSH_CONNECTION={SSH_HERE}", "/bin/sh", "-c", 'env -u SSH_CONNECTION "$@"; exit $?', "sh"]
    output = tmp_path / "r.bpftape"
    for rule in ("tcp", "tcp:22", "tcp:51515", "tcp from 10.77.0.0/24 10%"):
        done = run_record("--drop", f"{rule}@right", "--output", output, wrapper=wrapper)
        refused(done, 2, f"'{rule}' on right would cut the SSH session from 10.77.0.1", "--force")
        assert not output.exists()
    for number, options in enumerate(
        (["icmp@right"], ["tcp:443@right"], ["tcp from 10.78.0.0/16@right"], ["tcp@lo"], ["icmp6@right"], ["tcp@right", "--force"])
    ):
        done = run_record("--tracers", "xdp", "--duration", "0.1", "--drop", *options, "--output", tmp_path / f"{number}.bpftape", wrapper=wrapper)
        assert done.returncode == 0, done.stderr


def test_kernel_names_programs() -> None:
    with loaded("icmp") as (program, _):
        program_id = bpf_call.program_id(program.load("drop_packets", bpf_call.XDP))
        assert bpf_call.program_name(program_id) == "drop_packets"
    assert bpf_call.program_name(2**31 - 1) == ""
