"""What ``record`` refuses before it asks for any privilege."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import Cli


@pytest.mark.parametrize(
    ("arguments", "said", "then"),
    [
        (["--tracers", "clon"], "unknown tracer: clon", "did you mean clone? "),
        (["--tracers", "clone,xyzzy"], "unknown tracer: xyzzy", "See: record --list-tracers"),
        (["--tracers", ""], "unknown tracer: (empty)", "There are: "),
        (["--duration=-1"], "--duration -1: give the seconds to record, more than 0", "until Ctrl-C"),
        (["--duration", "0"], "--duration 0: ", "until Ctrl-C"),
        (["--duration", "nan"], "--duration nan: ", "until Ctrl-C"),
        (["--duration", "inf"], "--duration inf: ", "until Ctrl-C"),
        (["--ring-mib", "3"], "--ring-mib 3: a ring's size is a power of two", "try 1, 2, 4"),
        (["--ring-mib", "0"], "--ring-mib 0: ", "try 1, 2, 4"),
        (["--ring-mib", "2048"], "--ring-mib 2048: ", "1024"),
        (["--segment-seconds", "0"], "--segment-seconds 0: give 1 to 3600", "short segments"),
        (["--segment-seconds", "nan"], "--segment-seconds nan: give 1 to 3600", "short segments"),
        (["--follow-children"], "--follow-children needs a command", "try: record --follow-children -- make"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_values_that_make_no_sense_are_refused(cli: Cli, tmp_path: Path, arguments: list[str], said: str, then: str) -> None:
    done = cli("record", *arguments, "--output", tmp_path / "r.bpftape")
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith(f"error: {said}")
    assert second.startswith("hint: ")
    assert then in second
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--durration", "1"], ["--duration", "soon"], ["--pid", "one"], ["--duration"]], ids=" ".join)
def test_options_that_are_none_are_refused_by_name(cli: Cli, arguments: list[str]) -> None:
    done = cli("record", *arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_tracers_are_listed_with_what_they_record(cli: Cli) -> None:
    done = cli("record", "--list-tracers")
    assert done.returncode == 0
    tracers = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in done.stdout.splitlines()}
    assert "processes and threads" in tracers["clone"]


def test_the_version_is_that_of_the_package(cli: Cli) -> None:
    from recorder import __version__

    assert cli("record", "--version").stdout == f"record {__version__}\n"
