"""``bpftape sql``: a prompt that goes on whatever happens, at a real terminal and in a pipe."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import psutil
import pyte
import pytest

from analyzer.derived import derived_names
from analyzer.prompt.split import split
from analyzer.report import bundled_names
from recorder.schema import TABLES
from tests.analyzer.conftest import error_of
from tests.analyzer.test_hostile_sql import REFUSED
from tests.support import REPO, Cli

PROMPT = "sql>"
TAB, ENTER, UP, CTRL_C, CTRL_D, CTRL_L = "\t", "\r", "\x1b[A", "\x03", "\x04", "\x0c"
PATIENCE_S = 20.0
ANSWERED, ANSWER = "SELECT 6 * 7 * 1000 AS n;", "42000"


class Terminal:
    """A terminal of 100 lines and 120 columns with a prompt on it: what is shown is what a person would see, not what was sent."""

    def __init__(self, recording: Path, environment: dict[str, str]) -> None:
        command = str(Path(sys.executable).with_name("bpftape"))
        self._screen = pyte.Screen(120, 100)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            command, ["sql", str(recording)], env=os.environ | environment, dimensions=(100, 120), echo=False
        )
        self.await_prompt()

    def _read(self, seconds: float) -> None:
        try:
            data = self.child.read_nonblocking(65536, seconds)
        except pexpect.TIMEOUT:
            return
        self.raw += data
        self._stream.feed(data)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def shows(self, text: str, seconds: float = PATIENCE_S) -> bool:
        """Wait until ``text`` is on the screen; return whether it came."""
        until = time.monotonic() + seconds
        while text not in "\n".join(self.lines) and time.monotonic() < until:
            self._read(0.05)
        return text in "\n".join(self.lines)

    def await_prompt(self) -> None:
        until = time.monotonic() + PATIENCE_S
        while self.lines[-1:] != [PROMPT]:
            assert time.monotonic() < until, self.lines
            self._read(0.05)

    def type(self, text: str) -> None:
        self.child.send(text)

    def ask(self, text: str, answer: str) -> None:
        """Type an entry on a clean screen and wait for its answer and the next prompt."""
        self.type(text + ENTER)
        assert self.shows(answer), self.lines
        self.await_prompt()
        self.type(CTRL_L)
        until = time.monotonic() + PATIENCE_S
        while self.lines != [PROMPT]:
            assert time.monotonic() < until, self.lines
            self._read(0.05)

    def leave(self, keys: str) -> int | None:
        self.type(keys)
        self.child.expect(pexpect.EOF, timeout=PATIENCE_S)
        self.child.close()
        status: int | None = self.child.exitstatus
        return status


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def terminal(recording: Path, state: Path) -> Iterator[Callable[[], Terminal]]:
    """Return a function that opens a prompt on a terminal of its own."""
    opened: list[Terminal] = []

    def open_terminal() -> Terminal:
        opened.append(Terminal(recording, {"XDG_STATE_HOME": str(state), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.child.close(force=True)


def test_a_statement_over_several_lines_is_answered_with_what_it_rests_on(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    screen.type("SELECT count(*) * 1000 AS n" + ENTER)
    assert screen.shows("...>")
    screen.ask("FROM exec; -- the end", "11000\ncoverage: complete (exec attached for all of 10.0 s, none of 11 events lost)")
    assert screen.leave(CTRL_D) == 0


def test_no_mistake_ends_it(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    screen.ask("SELEC 1;", "error: sql:1: syntax error")
    screen.ask("SELECT comn FROM exec;", '"comn" not found')
    screen.ask("COPY exec TO '/tmp/x';", "COPY is not allowed")
    screen.ask("SELECT 'abc'::INT;", "Could not convert")
    screen.ask("SELECT $x;", "needs a value for x")
    screen.ask(".tabels", "Did you mean tables?")
    screen.ask(".schema exce", "Did you mean exec?")
    screen.ask(".run 'overview", "No closing quotation")
    screen.ask(ANSWERED, ANSWER)
    assert screen.leave(".quit" + ENTER) == 0


# A statement that is computed whole before its first row, one whose rows come as they are found, and one over which DuckDB waits for its threads.
FOR_EVER = (
    "SELECT count(*) FROM range(100000000000) a, range(1000000) b;",
    "SELECT i FROM range(100000000000) t(i) WHERE i % 10000000000 = 7;",
    "SELECT count(DISTINCT i % 1000) FROM range(100000000000) t(i);",
)


def test_ctrl_c_stops_a_statement_and_gives_up_a_line(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    for statement in FOR_EVER:
        screen.type(statement + ENTER)
        for _ in range(5):  # while the terminal is not given back, Ctrl-C is a key of the line editor and nothing else
            screen.shows("never", 0.5)
            screen.type(CTRL_C)
            if screen.shows("error: sql was stopped.", 2):
                break
        screen.await_prompt()
        screen.ask(ANSWERED, ANSWER)
    screen.type("SELECT nonsense")
    assert screen.shows("nonsense")
    screen.type(CTRL_C)
    screen.await_prompt()
    screen.ask(ANSWERED, ANSWER)


@pytest.mark.parametrize("arguments", [("analyzer.cli", "--sql", FOR_EVER[0]), ("recorder.bpftape", "sql")])
def test_ctrl_c_stops_a_report_and_a_pipe_at_once(arguments: tuple[str, ...], recording: Path) -> None:
    process = subprocess.Popen([sys.executable, "-m", *arguments, recording], cwd=REPO, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(FOR_EVER[0] + "\n")
    process.stdin.flush()
    until = time.monotonic() + PATIENCE_S
    while psutil.Process(process.pid).cpu_times().user < 2:  # starting takes a quarter of that
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert said in ("error: --sql was stopped.\n", "error: sql was stopped.\n")


COMPLETED = {
    "SELECT child_t": "child_tid",
    "SELECT max(e.argv_": "argv_truncated",
    "SELECT clone.clone_f": "clone_flags",
    "SELECT count(*) FROM cloc": "clock",
    "SELECT label FROM container_c": "container_context",
    "SELECT container_context.pod": "pod_uid",
    "SELECT errno_n": "errno_name",
    "SELECT levens": "levenshtein",
    "SELECT comm FROM exec LATE": "LATERAL",
    ".sch": ".schema",
    ".schema clon": ".schema clone",
    ".schema container_c": ".schema container_context",
    ".run overv": ".run overview",
}


def test_tab_completes_tables_columns_functions_macros_reports_and_commands(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    for typed, completed in COMPLETED.items():
        screen.type(typed + TAB)
        assert screen.shows(completed), screen.lines
        screen.type(CTRL_C)
        screen.await_prompt()
        screen.type(CTRL_L)


def test_commands_show_the_schema_and_run_reports(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    screen.ask(".schema exit", "  duration_ns   BIGINT     Life of the process: ts_ns - start_ns (ns)")
    screen.ask(".schema container_context", "A view of container, made when it is named.")
    screen.ask(".tables", "exec                        11 rows")
    screen.ask(".tables", "container_context  view of container")
    screen.ask(".reports", "What does this recording hold")
    screen.ask(".describe short_lived", "--param max_ms=100")
    screen.ask(".run short_lived max_ms=6", "601")
    screen.ask(".help", ".run REPORT")


def test_the_history_is_kept_for_its_user_alone(terminal: Callable[[], Terminal], state: Path) -> None:
    screen = terminal()
    screen.ask(ANSWERED, ANSWER)
    screen.leave(CTRL_D)
    file = state / "bpftape" / "sql_history"
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    file.chmod(0o644)
    screen = terminal()
    screen.type(UP)
    assert screen.shows(ANSWERED)
    screen.ask("", ANSWER)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_prompt_without_a_place_for_its_history(terminal: Callable[[], Terminal], state: Path) -> None:
    state.write_text("not a folder")
    screen = terminal()
    assert screen.shows("no history is kept")
    screen.ask(ANSWERED, ANSWER)


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGTERM])
def test_a_terminal_that_is_closed_leaves_nothing_behind(signum: int, recording: Path, state: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    screen = Terminal(recording, {"XDG_STATE_HOME": str(state), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "TMPDIR": str(temporary)})
    screen.ask(ANSWERED, ANSWER)
    assert list(temporary.iterdir()), "it has a folder for what does not fit into memory"
    screen.child.kill(signum)
    screen.child.expect(pexpect.EOF, timeout=PATIENCE_S)
    screen.child.close()
    assert screen.child.exitstatus == 128 + signum
    assert list(temporary.iterdir()) == []


def test_nothing_of_a_recording_steers_the_terminal(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    screen.ask("SELECT comm FROM exec WHERE pid = 900;", r"\x1b]0;pwned\x07")
    assert b"\x1b]0;pwned" not in screen.raw


def test_a_pipe_is_answered_without_a_terminal(recording: Path, cli: Cli, state: Path) -> None:
    text = "SELECT 1 AS a;\n.tables\nSELECT ';' AS b -- ;\n; SELECT 3 AS c"
    done = cli("bpftape", "sql", recording, "--format", "csv", stdin=text, env={"XDG_STATE_HOME": str(state)})
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["a", "1"]
    assert [line.split()[0] for line in lines[2:-4]] == [*TABLES, *derived_names()]
    assert lines[-4:] == ["b", ";", "c", "3"]
    assert not state.exists()


def test_a_pipe_goes_on_after_an_error_and_tells_in_the_end(recording: Path, cli: Cli) -> None:
    done = cli("bpftape", "sql", recording, "--format", "csv", stdin="SELEC 1;\n.quitt\nSELECT 2 AS a;\n.quit\nSELECT 3;")
    assert (done.returncode, done.stdout) == (2, "a\n2\n")
    assert done.stderr.count("error: ") == 2
    assert "Traceback" not in done.stderr


def test_every_hostile_statement_is_refused_here_too(copy: Path, cli: Cli, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("the secret\n")
    names = {"out": tmp_path / "out", "secret": secret, "segment": copy / "exec" / "000000.parquet"}
    before = names["segment"].read_bytes()
    # A text of several statements is several here: each has to be harmless by itself.
    statements = {sql.format(**names): said for sql, said in REFUSED.items() if said != "2 statements"}
    done = cli("bpftape", "sql", copy, stdin=";\n".join(statements))
    assert done.returncode == 2
    assert [said for said in statements.values() if said not in done.stderr] == []
    assert done.stderr.count("error: ") == len(statements)
    assert (done.stdout, "the secret" in done.stderr, names["out"].exists()) == ("", False, False)
    assert names["segment"].read_bytes() == before


WRONG = {
    ("/nonexistent.bpftape",): 65,
    ("{recording}", "{recording}"): 2,
    ("{recording}", "--format", "cvs"): 2,
    ("{recording}", "--timeout", "x"): 2,
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_mistake_in_the_command_is_named(arguments: tuple[str, ...], recording: Path, cli: Cli) -> None:
    error_of(cli("bpftape", "sql", *(argument.format(recording=recording) for argument in arguments), stdin="SELECT 1;"), WRONG[arguments])


@pytest.mark.parametrize(
    ("text", "entries", "rest"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1"], "SELECT 2"),
        ("SELECT ';\n", [], "SELECT ';\n"),
        ("SELECT $$;$$, \";\" -- ;\n, 'é;';", ["SELECT $$;$$, \";\" -- ;\n, 'é;'"], ""),
        ("-- a comment;\n", [], ""),
        ("/* one; \n", [], "/* one; \n"),
        ("/* one; */ ;;\n;", [], ""),
        (".tables\n.schema exec", [".tables", ".schema exec"], ""),
        ("SELECT 1; .tables\n SELECT .5\n;\n-- and\n.quit\n", ["SELECT 1", ".tables", "SELECT .5", ".quit"], ""),
        ("é😀; SELECT '😀';\nx", ["é😀", "SELECT '😀'"], "x"),
    ],
)
def test_where_an_entry_ends(text: str, entries: list[str], rest: str) -> None:
    assert split(text) == (entries, rest)


def test_every_bundled_report_runs_from_the_prompt(recording: Path, cli: Cli) -> None:
    done = cli("bpftape", "sql", recording, stdin="".join(f".run {name}\n" for name in bundled_names()))
    assert (done.returncode, "error" in done.stderr) == (0, False), done.stderr
