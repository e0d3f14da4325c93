"""The command ``record``: reads the options, runs a session, says how it went."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analyzer.examples import examples
from analyzer.options import complete_last
from recorder import __version__, console
from recorder.errors import Exit, RecorderError

if TYPE_CHECKING:
    from recorder.result import Result
    from recorder.session import Options

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})

EXAMPLES = {
    "A minute of this host": "sudo record --duration 60",
    "One program, and its events as lines while they come": "sudo record --print --comm nginx",
    "One command with all that it starts": "sudo record --follow-children -- make test",
    "How something fares without its packets": "sudo record --drop icmp@lo --duration 10",
}

RING_MIB = 16
SOCKETS = 131_072
MOST_SOCKETS = 16_777_216
LARGEST_RING_MIB = 1024
_DROPS = "Packets dropped on purpose, while recording"
_FILTERS = "Filters in the kernel (repeatable; values of one option are alternatives)"


def _version(value: bool) -> None:
    if value:
        print(f"record {__version__}")
        raise typer.Exit


def _list_tracers(value: bool) -> None:
    if value:
        from recorder.tracers import all_tracers

        for name, tracer in all_tracers().items():
            print(f"{name:12} {tracer.doc}")
        raise typer.Exit


def _complete_tracer(incomplete: str) -> list[str]:
    from recorder.tracers import all_tracers

    return complete_last(incomplete, all_tracers())


def _chosen(tracers: list[str]) -> tuple[str, ...]:
    import difflib

    from recorder.tracers import all_tracers

    known = all_tracers()
    names = [name.strip() for part in tracers for name in part.split(",")]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise RecorderError(f"unknown tracer: {name or '(empty)'}", f"{hint}There are: {', '.join(known)}. See: record --list-tracers")
    return tuple(dict.fromkeys(names)) or tuple(name for name, tracer in known.items() if not tracer.on_request)


def _check(duration: float | None, ring_mib: int, sockets: int, segment_seconds: float, follow: bool, command: list[str]) -> None:
    if duration is not None and not 0 < duration < 1e9:
        raise RecorderError(f"--duration {duration:g}: give the seconds to record, more than 0", "leave it out to record until Ctrl-C")
    if not 1 <= ring_mib <= LARGEST_RING_MIB or ring_mib & (ring_mib - 1):
        raise RecorderError(f"--ring-mib {ring_mib}: a ring's size is a power of two", f"try 1, 2, 4, … {LARGEST_RING_MIB}")
    if not 1 <= sockets <= MOST_SOCKETS:
        raise RecorderError(
            f"--sockets {sockets}: give 1 to {MOST_SOCKETS}", "leave it out, unless tcp_connect lost rows while the rings were not full"
        )
    if not 1 <= segment_seconds <= 3_600:
        hint = "short segments lose less in a crash, long ones are faster to read"
        raise RecorderError(f"--segment-seconds {segment_seconds:g}: give 1 to 3600", hint)
    if follow and not command:
        raise RecorderError("--follow-children needs a command to follow", "try: record --follow-children -- make")


def _check_endpoint_filters(given: Mapping[str, object], tracers: Sequence[str]) -> None:
    for option, value in given.items():
        if value and "tcp" not in tracers:
            raise RecorderError(
                f"{option} restricts what the tracer tcp records, and that was not asked for", f"try: --tracers {','.join([*tracers, 'tcp'])}"
            )


def _with_drops(tracers: tuple[str, ...], drop: Sequence[str]) -> tuple[str, ...]:
    """Return the tracers with that of --drop, which is there for nothing else."""
    if "xdp" in tracers and not drop:
        raise RecorderError("the tracer xdp records what --drop drops, and nothing was asked to be dropped", "try: --drop icmp@lo")
    return (*tracers, "xdp") if drop and "xdp" not in tracers else tracers


def _run(options: Options, print_events: bool) -> Result:
    from recorder.session import recording

    printer = None
    if print_events:
        from recorder.printing import Printer

        if isinstance(sys.stdout, io.TextIOWrapper):  # names of processes may hold what the terminal's encoding has not
            sys.stdout.reconfigure(errors="backslashreplace")
        printer = Printer(sys.stdout)
    with recording(options, printer.take if printer else None) as session:
        if printer:
            printer.start()
        for note in session.notes:
            console.say(note)
        console.say(f"recording {', '.join(options.tracers)} to {options.output}" + ("" if options.command or options.duration else " until Ctrl-C"))
        with console.status_line(options.duration, wanted=not print_events) as tick:
            reason = session.wait(tick)
        result = session.end(reason)
        if printer:
            printer.finish()
        console.summarize(result, printer.dropped if printer else 0)
        session.await_command()
        if options.command and session.command_status is None:
            console.say(f"{options.command[0]} goes on")
        result.command_status = session.command_status
    return result


@app.command(epilog=examples(EXAMPLES))
def record(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND", help="Record while this command runs, and return its status.", show_default=False)
    ] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long to record; until Ctrl-C without it.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="The recording's folder.", show_default="HOST_TIME.bpftape here")
    ] = None,
    tracers: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="Tracers to attach; all without it.", autocompletion=_complete_tracer, show_default=False),
    ] = None,
    list_tracers: Annotated[bool, typer.Option("--list-tracers", help="List the tracers and exit.", callback=_list_tracers, is_eager=True)] = False,
    print_events: Annotated[bool, typer.Option("--print", help="Print events as lines while they come.")] = False,
    pid: Annotated[list[int] | None, typer.Option(help="Only this process.", rich_help_panel=_FILTERS, show_default=False)] = None,
    comm: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only tasks of this name.", rich_help_panel=_FILTERS, show_default=False)
    ] = None,
    uid: Annotated[
        list[str] | None, typer.Option(metavar="USER", help="Only this user, by number or name.", rich_help_panel=_FILTERS, show_default=False)
    ] = None,
    cgroup: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Only this cgroup and those below it.", rich_help_panel=_FILTERS, show_default=False)
    ] = None,
    container: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this container, by name, id or host name.", rich_help_panel=_FILTERS, show_default=False),
    ] = None,
    containers_only: Annotated[bool, typer.Option("--containers-only", help="Only what runs in containers.", rich_help_panel=_FILTERS)] = False,
    port: Annotated[
        list[str] | None,
        typer.Option(metavar="PORT", help="Only TCP connections to this port (or LOW-HIGH).", rich_help_panel=_FILTERS, show_default=False),
    ] = None,
    daddr: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="Only TCP connections with these peers.", rich_help_panel=_FILTERS, show_default=False),
    ] = None,
    family: Annotated[
        int | None, typer.Option(metavar="4|6", help="Only TCP over this version of IP.", rich_help_panel=_FILTERS, show_default=False)
    ] = None,
    follow_children: Annotated[bool, typer.Option("--follow-children", help="Only COMMAND and its descendants.", rich_help_panel=_FILTERS)] = False,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE@INTERFACE",
            help="Drop incoming packets: icmp, icmp6, tcp or udp, then :PORT or :LOW-HIGH, 'from CIDR', 'to CIDR', '25%'. Repeatable.",
            rich_help_panel=_DROPS,
            show_default=False,
        ),
    ] = None,
    drop_after: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Begin so long after the start.", rich_help_panel=_DROPS, show_default="at once")
    ] = None,
    drop_for: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Drop so long.", rich_help_panel=_DROPS, show_default="to the end")
    ] = None,
    xdp_mode: Annotated[
        str | None,
        typer.Option(
            metavar="native|generic", help="How to attach.", rich_help_panel=_DROPS, show_default="native; generic where the driver has none"
        ),
    ] = None,
    no_argv: Annotated[bool, typer.Option("--no-argv", help="Do not record arguments of programs.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the recording that is there; drop even what your own SSH session needs.")] = False,
    ring_mib: Annotated[int, typer.Option(metavar="MIB", help="Size of each busy table's ring, a power of two.")] = RING_MIB,
    sockets: Annotated[int, typer.Option(metavar="COUNT", help="TCP connections at once whose process is remembered (about 0.2 kB each).")] = SOCKETS,
    segment_seconds: Annotated[float, typer.Option(metavar="SECONDS", help="How long a segment stays open; a crash loses what is in it.")] = 5.0,
    no_statistics: Annotated[
        bool, typer.Option("--no-statistics", help="Do not have the kernel time BPF programs (some 20 ns a run, of all programs on the host).")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)] = False,
) -> None:
    """Record what this host does: processes, TCP connections, containers; and drop packets, if told to.

    Needs root; writes a folder that `analyze` reads anywhere.
    """
    from recorder import privilege

    del list_tracers, version  # their callbacks have dealt with them
    chosen = _with_drops(_chosen(tracers or []), drop or [])
    _check(duration, ring_mib, sockets, segment_seconds, follow_children, command or [])
    _check_endpoint_filters({"--port": port, "--daddr": daddr, "--family": family}, chosen)
    from recorder import drops, filters

    wanted_drops = drops.parse(drop or [], drop_after, drop_for, xdp_mode, duration)
    privilege.require(drops=bool(wanted_drops))
    for line in privilege.costs():
        console.say(line)
    if wanted_drops:
        drops.check(wanted_drops, force)
    from recorder.session import Options, default_output

    options = Options(
        output=output or default_output(),
        tracers=chosen,
        required=bool(tracers),
        duration=duration,
        ring_mib=ring_mib,
        sockets=sockets,
        segment_seconds=segment_seconds,
        force=force,
        argv=not no_argv,
        statistics=not no_statistics,
        filters=filters.parse(
            filters.Wishes(
                pid or (), comm or (), uid or (), cgroup or (), container or (), containers_only, follow_children, port or (), daddr or (), family
            )
        ),
        drops=wanted_drops,
        command=tuple(command or []),
        gives_up=True,
    )
    result = _run(options, print_events)
    if result.failure:
        raise result.failure
    if result.command_status:
        raise typer.Exit(result.command_status)


def _open_standard_streams() -> None:
    """Put /dev/null where a standard stream was closed, or the next file to be opened would stand for it, and take messages for rows."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def main() -> None:
    """Run ``record``."""
    from recorder.giving_up import without_threads

    without_threads()
    _open_standard_streams()
    try:
        app(prog_name="record")
    except RecorderError as error:
        console.fail(error)
    except KeyboardInterrupt:  # before there was anything to record
        raise SystemExit(128 + 2) from None
    except OSError as error:
        console.fail(RecorderError(f"{error.filename or 'the system'}: {error.strerror or error}", code=Exit.IO))
    except MemoryError:
        console.fail(RecorderError("out of memory", "try a smaller --ring-mib", Exit.IO))


if __name__ == "__main__":
    main()
