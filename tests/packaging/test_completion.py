"""The completions that are installed, in the shells themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.support import REPO

SCRIPTS = Path(sys.executable).parent

# As readline does it when TAB is pressed at the end of the line $1: through what the script in $2 has registered.
BASH = r"""
source "$2"
line=$1 COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<<"$line"
[[ $line == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
command=${COMP_WORDS[0]}
[[ $(complete -p "$command") =~ -F\ ([^ ]+) ]]
"${BASH_REMATCH[1]}" "$command" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all that ``make install`` would link to."""
    folder = tmp_path_factory.mktemp("described")
    done = subprocess.run([REPO / "packaging" / "describe.sh", SCRIPTS.parent, folder], capture_output=True, text=True, check=True, timeout=120)
    made = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(done.stdout.splitlines()) == made
    return folder


def environment(home: Path) -> dict[str, str]:
    return {"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "HOME": str(home), "TERM": "vt100", "LANG": "C.UTF-8"}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("record --dro", {"--drop", "--drop-after", "--drop-for"}),
        ("record --tracers clone,t", {"clone,tcp"}),
        ("analyze process_", {"process_lifetimes", "process_tree"}),
        ("analyze --describe connect_f", {"connect_failures"}),
        ("analyze --expect no_kills process_t", {"process_tree"}),
        ("analyze overview ", {""}),  # a recording's turn: none of ours, so that bash offers files
        ("analyze overview --format j", {"json", "jsonl"}),
        ("analyze overview --format=j", {"json", "jsonl"}),
        ("bpftape ver", {"verify"}),
        ("bpftape verify --", {"--decode", "--json", "--help"}),
        ("bpftape schema tcp_c", {"tcp_connect", "tcp_close"}),
        ("bpftape schema container_", {"container_context"}),
        ("bpftape replay --table tcp_s", {"tcp_socket"}),
        ("bpftape new-report x --tables exec,e", {"exec,exec", "exec,exit"}),
        ("bpftape export --format p", {"perfetto"}),
        ("bpftape diff a b --format m", {"md"}),
        ("bpftape share --policy st", {"standard", "strict"}),
    ],
)
def test_bash_completes(line: str, offered: set[str], described: Path, tmp_path: Path) -> None:
    script = described / "share/bash-completion/completions" / line.split()[0]
    command = ["bash", "--norc", "-c", BASH, "bash", line, str(script)]
    done = subprocess.run(command, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert (set(done.stdout.removesuffix("\n").split("\n")), done.stderr) == (offered, "")


@pytest.mark.parametrize("command", ["record", "analyze", "bpftape"])
def test_zsh_completes_at_the_first_press(command: str, described: Path, tmp_path: Path) -> None:
    typed, completed = {"record": ("--no-st", "--no-statistics"), "analyze": ("overv", "overview"), "bpftape": ("new-r", "new-report")}[command]
    shell = pexpect.spawn("zsh", ["-f", "-i"], env=environment(tmp_path), cwd=tmp_path, encoding="utf-8", timeout=60, dimensions=(24, 200))
    try:
        shell.sendline(f"PS1='%% '; fpath=({described}/share/zsh/site-functions $fpath); autoload -U compinit; compinit -D; echo read''y")
        shell.expect("ready\r\n")
        shell.send(f"{command} {typed}\t")
        shell.expect(completed)
    finally:
        shell.close(force=True)


@pytest.mark.parametrize(
    ("line", "offered"), [("record --no-st", "--no-statistics"), ("analyze overv", "overview"), ("bpftape schema tcp_s", "tcp_socket")]
)
def test_fish_completes(line: str, offered: str, described: Path, tmp_path: Path) -> None:
    script = described / "share/fish/vendor_completions.d" / f"{line.split()[0]}.fish"
    command = ["fish", "--no-config", "-c", f"source {script}; complete --do-complete '{line}'"]
    done = subprocess.run(command, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert [each.split("\t")[0] for each in done.stdout.splitlines()] == [offered]
