"""--print shows connects, accepts and ends as lines; names of processes reach no terminal as they are, here or in ``analyze``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.kernel.harness import Recording, Row, recorder
from tests.kernel.net import Program, namespace, of, only, tcp_program
from tests.support import Cli

TAME = "a client"
HOSTILE = {
    "escape": (b"\x1b[31mred\x1b[0m\x07", "\x1b[31mred\x1b[0m\x07", r"\x1b[31mred\x1b[0m\x07"),
    "lines": (b"x\r\ny\tz\x0bv\x0cw", "x\r\ny\tz\x0bv\x0cw", r"x\r\ny\tz\x0bv\x0cw"),
    "invalid": (b"\xff\xfe\x9b31m\xc3", "\ufffd\ufffd\ufffd31m\ufffd", "\ufffd\ufffd\ufffd31m\ufffd"),
    "C1": ("\x9b31m\x90q\x85".encode(), "\x9b31m\x90q\x85", r"\x9b31m\x90q\x85"),
    "bidi": ("a\u202eb\u2028c".encode(), "a\u202eb\u2028c", r"a\u202eb\u2028c"),
}


@dataclass
class Printed:
    recording: Recording
    output: bytes
    tame: Row
    hostile: dict[str, Row]

    def line(self, event: str, pid: int, words: str) -> list[str]:
        """Return the words of the one line of an event of a process that has ``words`` in it; the name, of two words here, is one of them."""
        found = [line for line in self.output.decode().splitlines() if f" {event} " in line and words in line and f" {pid} " in line]
        (line,) = [line for line in found if f" {TAME} " in line]
        return line.replace(TAME, "NAME").split()


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Printed]:
    names = [TAME.encode(), *(raw for raw, _, _ in HOSTILE.values())]
    with namespace() as place, recorder(tmp_path_factory.mktemp("print") / "r.bpftape", "--tracers", "tcp", "--print") as running:
        with Program(place.inside(*tcp_program("named", *(name.hex() for name in names)))) as program:
            tame, *hostile = program.hear()
            program.end()
        last = hostile[-1]["refused"]
        running.output.wait_for(rf" tcp_connect +{tame['pid']} .* 192\.0\.2\.1:{last} ENETUNREACH")
        assert running.process.poll() is None, "lines come while the recording goes on"
        recording = running.stop()
        yield Printed(recording, running.output.everything(), tame, dict(zip(HOSTILE, hostile, strict=True)))


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_a_connection_is_a_line_for_its_connect_its_accept_and_both_ends(printed: Printed, host: str, shown: str) -> None:
    pid = printed.tame["pid"]
    sport, port = printed.tame["made"][host]
    client, server = f"{shown}:{sport}", f"{shown}:{port}"
    connect = only(of(printed.recording, "tcp_connect", pid=pid, sport=sport, saddr=host))
    words = printed.line("tcp_connect", pid, f"{client} -> {server}")
    assert words[1:3] == ["tcp_connect", str(pid)]
    assert words[5:] == ["NAME", client, "->", server, "connected", "after", f"{connect['latency_ns'] / 1e6:.3f}", "ms"]
    accept = only(of(printed.recording, "tcp_accept", pid=pid, dport=sport, saddr=host))
    assert printed.line("tcp_accept", pid, f"{server} <- {client}")[5:9] == ["NAME", server, "<-", client]
    assert f"queued {accept['queued_ns'] / 1e6:.3f} ms" in printed.output.decode()
    closed = printed.line("tcp_close", pid, f"{client} -> {server}")
    assert closed[5:13] == ["NAME", client, "->", server, "sent", "5", "received", "0"]
    closed = printed.line("tcp_close", pid, f"{server} <- {client}")
    assert closed[5:13] == ["NAME", server, "<-", client, "sent", "0", "received", "5"]


def test_a_failed_connect_is_a_line_with_the_name_of_its_errno(printed: Printed) -> None:
    pid, port = printed.tame["pid"], printed.tame["refused"]
    row = only(of(printed.recording, "tcp_connect", pid=pid, dport=port, daddr="127.0.0.1"))
    assert printed.line("tcp_connect", pid, f"127.0.0.1:{port} ")[5:] == [
        *("NAME", f"127.0.0.1:{row['sport']}", "->", f"127.0.0.1:{port}", "ECONNREFUSED"),
    ]
    assert printed.line("tcp_connect", pid, f"192.0.2.1:{port} ")[5:] == ["NAME", "?:?", "->", f"192.0.2.1:{port}", "ENETUNREACH"]


@pytest.mark.parametrize("name", HOSTILE)
def test_the_recording_has_a_name_as_it_is_and_the_terminal_has_it_escaped(printed: Printed, name: str) -> None:
    _, stored, shown = HOSTILE[name]
    rows = of(printed.recording, "tcp_connect", pid=printed.tame["pid"], dport=printed.hostile[name]["refused"])
    assert [row["comm"] for row in rows] == [stored, stored]
    lines = [line for line in printed.output.decode().splitlines() if f":{printed.hostile[name]['refused']} E" in line]
    assert len(lines) == 2
    assert all(f" {shown} " in line for line in lines)


def test_no_control_character_of_a_name_is_printed(printed: Printed) -> None:
    assert controls(printed.output.decode()) == set()


def test_nor_does_analyze_print_one(printed: Printed, cli: Cli) -> None:
    for table in ("tcp_connect", "tcp_accept", "tcp_close"):
        done = cli("analyze", "--sql", f"SELECT DISTINCT comm FROM {table} WHERE pid = {printed.tame['pid']}", printed.recording.path)
        assert done.returncode == 0, done.stderr
        assert controls(done.stdout + done.stderr) == set()
        assert "red" in done.stdout


def controls(text: str) -> set[str]:
    """Return those characters that move a cursor or turn text round; line feeds are not among them."""
    return {
        c
        for c in text
        if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c in "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    }
