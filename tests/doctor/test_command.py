"""The command ``bpftape``, as it is typed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

import recorder.doctor
from recorder import __version__, bpftape
from recorder.errors import Exit, RecorderError
from tests.support import Cli

# Without BCC no program is loaded, whoever runs the tests.
NO_BCC = {"BPFTAPE_BCC": "/nonexistent"}


def test_both_sides_verbs_are_there(cli: Cli) -> None:
    done = cli("bpftape", "--help")
    assert done.returncode == 0
    assert {"doctor", "info"} <= set(done.stdout.split())
    assert cli("bpftape", "--version").stdout == f"bpftape {__version__}\n"


def test_an_unknown_verb_is_a_usage_error(cli: Cli) -> None:
    done = cli("bpftape", "docter")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command" in done.stderr


def test_doctor_says_a_line_a_check_and_ends_with_the_verdict(cli: Cli) -> None:
    done = cli("bpftape", "doctor", env=NO_BCC)
    *lines, last = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (70, "")
    assert {line[:9] for line in lines} <= {"ok       ", "missing  ", "note     "}
    assert any(line.startswith("missing  BCC ") and "apt install python3-bpfcc" in line for line in lines)
    assert last.startswith("this host cannot record: ")
    assert "\x1b" not in done.stdout


def test_doctor_gives_json(cli: Cli) -> None:
    done = cli("bpftape", "doctor", "--json", env=NO_BCC)
    found = json.loads(done.stdout)
    assert (done.returncode, found["exit_code"]) == (70, 70)
    bcc = next(check for check in found["checks"] if check["name"] == "BCC")
    assert (bcc["status"], bcc["required"]) == ("missing", True)


def on_a_terminal(cli: Cli, environment: dict[str, str]) -> str:
    """Run the doctor with a terminal for its output and return what it wrote there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([str(cli.path("bpftape")), "doctor"], stdout=theirs, env=environment) as process:
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 65_536):
                written += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        process.wait(timeout=60)
    os.close(ours)
    return written.decode()


def test_colours_are_for_terminals_only_and_for_those_who_want_them(cli: Cli) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")} | NO_BCC | {"TERM": "xterm"}
    coloured = on_a_terminal(cli, environment)
    assert "\x1b[1;31mmissing\x1b[0m  BCC" in coloured
    plain = on_a_terminal(cli, environment | {"NO_COLOR": "1"})
    assert "31m" not in plain
    assert "missing" in plain


def test_a_reader_that_leaves_is_no_error(cli: Cli) -> None:
    with subprocess.Popen(
        [str(cli.path("bpftape")), "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | NO_BCC, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0


def test_errors_of_the_analyzer_end_with_message_hint_and_code(cli: Cli, tmp_path: Path) -> None:
    done = cli("bpftape", "info", tmp_path / "nowhere.bpftape")
    assert (done.returncode, done.stdout) == (65, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")


def test_errors_of_the_recorder_do_so_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise RecorderError("the kernel said no", "ask it nicely", Exit.BPF)

    monkeypatch.setattr(recorder.doctor, "examine", fails)
    monkeypatch.setattr("sys.argv", ["bpftape", "doctor"])
    with pytest.raises(SystemExit) as ended:
        bpftape.main()
    assert ended.value.code == 70
    assert capsys.readouterr().err == "error: the kernel said no\nhint: ask it nicely\n"
