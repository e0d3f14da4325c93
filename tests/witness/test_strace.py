"""Logs of strace are read for what they say: who lived when, whose calls those are, what became of sockets."""

from __future__ import annotations

from tests.kernel.witness.facts import Accept, Clone, Close, Connect, End, Exec, Exit, Process
from tests.kernel.witness.strace import facts
from tests.kernel.witness.strace_log import Log

LOCAL = r"\x7f\x00\x00\x01"


def text(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def address(port: int) -> str:
    return rf'{{sa_family=0x2, sin_port="\x{port >> 8:02x}\x{port & 255:02x}", sin_addr="{LOCAL}"}}'


def sock(fd: int, inode: int) -> str:
    return f"{fd}<{text(f'socket:[{inode}]')}>"


def read(*lines: str) -> list[object]:
    log = Log()
    for line in lines:
        log.add(line)
    return list(facts(log))


def test_a_child_may_be_seen_and_end_before_its_parents_call_has_returned() -> None:
    found = read(
        "10    vfork( <unfinished ...>",
        f'11    execve("{text("/bin/a")}", ["{text("a")}", ""], 0x7fff /* 1 var */ <unfinished ...>',
        "11    <... execve resumed>)             = 0",
        "11    +++ exited with 3 +++",
        "10    <... vfork resumed>)              = 11",
        "10    +++ killed by SIGSEGV (core dumped) +++",
    )
    parent, child = Process(10, 0), Process(11, 0)
    assert set(found) == {
        Clone(parent, 10, 11, child, 0x4100),
        Exec(child, "/bin/a", ("a", "")),
        Exit(child, 3, None, False),
        Exit(parent, None, 11, True),
    }


def test_an_id_that_is_used_again_is_another_process() -> None:
    fork = "10    clone(child_stack=NULL, flags=0x1200000|17, child_tidptr=0x7f) = 11"
    found = read(fork, "11    +++ exited with 1 +++", fork, "11    +++ exited with 2 +++", "10    +++ exited with 0 +++")
    assert {fact.process.before: fact.exit_code for fact in found if isinstance(fact, Exit) and fact.process.pid == 11} == {0: 1, 1: 2}
    assert [fact.child for fact in found if isinstance(fact, Clone)] == [Process(11, 0), Process(11, 1)]
    assert {fact.flags for fact in found if isinstance(fact, Clone)} == {0x1200000}


def test_an_exec_by_a_thread_is_one_of_the_process_which_lives_on() -> None:
    found = read(
        "10    clone3({flags=0x3d0f00, exit_signal=0, tls=0x7f} => {parent_tid=[11]}, 88) = 11",
        f'11    execve("{text("/bin/a")}", ["{text("a")}"], 0x7fff /* 2 vars */ <pid changed to 10 ...>',
        "10    +++ superseded by execve in pid 11 +++",
        "10    <... execve resumed>)             = -1 (errno 18446744073709551613)",
        "10    +++ exited with 5 +++",
    )
    process = Process(10, 0)
    assert found == [Clone(process, 10, 11, None, 0x3D0F00), Exit(process, 5, None, False), Exec(process, "/bin/a", ("a",))]


def test_a_program_that_is_started_by_descriptor_has_no_name() -> None:
    call = f'10    execveat(5<{text("/bin/a")}>, "", ["{text("a")}"], 0x7f /* 0 vars */, 0x1000) = 0'
    assert Exec(Process(10, 0), "descriptor 5", ("a",)) in read(call, "10    +++ exited with 0 +++")


def test_a_connect_and_an_accept_are_each_a_fact_and_an_end_of_a_connection() -> None:
    found = read(
        f"10    socket(0x2, 0x1|0x80000, 0) = {sock(3, 900)}",
        f"10    bind({sock(3, 900)}, {address(0)}, 16) = 0",
        f"10    getsockname({sock(3, 900)}, {address(80)}, [16]) = 0",
        f"10    socket(0x2, 0x1|0x80000, 0) = {sock(4, 901)}",
        f"10    connect({sock(4, 901)}, {address(80)}, 16) = 0",
        f"10    getsockname({sock(4, 901)}, {address(4000)}, [16]) = 0",
        f"10    accept4({sock(3, 900)},  <unfinished ...>",
        f"10    <... accept4 resumed>{address(4000)}, [16], 0x80000) = {sock(5, 902)}",
        "10    +++ exited with 0 +++",
    )
    who, client, server = (Process(10, 0), 10), End("127.0.0.1", 4000), End("127.0.0.1", 80)
    assert set(found) - {Exit(who[0], 0, None, False)} == {
        Connect(*who, client, server, "connected", 0),
        Close(*who, "outbound", client, server),
        Accept(*who, server, client),
        Close(*who, "inbound", server, client),
    }


def outcome(*further: str) -> list[tuple[str | None, int | None]]:
    found = read(
        f"10    socket(0x2, 0x1, 0) = {sock(3, 900)}",
        f"10    connect({sock(3, 900)}, {address(80)}, 16) = -1 EINPROGRESS (Operation now in progress)",
        f"10    getsockname({sock(3, 900)}, {address(4000)}, [16]) = 0",
        *(f"10    {line}" for line in further),
        "10    +++ exited with 0 +++",
    )
    return [(fact.outcome, fact.errno) for fact in found if isinstance(fact, Connect)]


def test_what_a_pending_connect_comes_to_is_what_is_said_of_it_later() -> None:
    error = f"getsockopt({sock(3, 900)}, 0x1, 0x4, [{{}}], [4]) = 0"
    peer = f"getpeername({sock(3, 900)}, {address(80)}, [16]) = 0"
    again = f"connect({sock(3, 900)}, {address(80)}, 16) = "
    assert outcome() == [("closed", None)]
    assert outcome(error.format(0)) == [("closed", None)]
    assert outcome(error.format(0), peer) == [("connected", 0)]
    assert outcome(error.format(111)) == [("failed", 111)]
    assert outcome(again + "-1 EALREADY (Operation already in progress)", again + "0") == [("connected", 0)]
    assert outcome(again + "-1 EHOSTUNREACH (No route to host)") == [("failed", 113)]
    assert outcome(peer, again + "-1 EISCONN (Transport endpoint is already connected)") == [("connected", 0)]


def test_a_call_that_tries_nothing_over_tcp_is_no_fact() -> None:
    found = read(
        f"10    socket(0x2, 0x2, 0) = {sock(3, 900)}",
        f"10    connect({sock(3, 900)}, {address(80)}, 16) = -1 ENETUNREACH (Network is unreachable)",
        f"10    socket(0x1, 0x1, 0) = {sock(4, 901)}",
        f'10    connect({sock(4, 901)}, {{sa_family=0x1, sun_path="{text("/a")}"}}, 4) = -1 ENOENT (No such file or directory)',
        f"10    socket(0x2, 0x1, 0) = {sock(5, 902)}",
        f"10    connect({sock(5, 902)}, 0x8, 16) = -1 EFAULT (Bad address)",
        f"10    connect(6<{text('/etc/passwd')}>, {address(80)}, 16) = -1 ENOTSOCK (Socket operation on non-socket)",
        f"10    connect(-1, {address(80)}, 16) = -1 EBADF (Bad file descriptor)",
        "10    connect(99, <unfinished ...>",
        "10    +++ killed by SIGKILL +++",
    )
    assert found == [Exit(Process(10, 0), None, 9, False)]
