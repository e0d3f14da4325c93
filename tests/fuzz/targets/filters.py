"""Values of the recorder's filters, one option=value a line, and which container a name means."""

from __future__ import annotations

import os

from recorder.containers import Running, find
from recorder.filters import Wishes, parse
from tests.fuzz.target import Target

IDS = ("4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970", "4f797c99a16ea25b7724cb56a4f0c0df1113ad9474fbf5545bead97fd5c7f61c")
RUNNING = [
    Running(IDS[0], "docker", None, "web", "nginx", "web-1", 1, 1, ("/a",)),
    Running(IDS[1], None, "eab5a334-93fe-48a8-b139-9e8079c1f163", "default/web-0/nginx", None, None, 2, 1, ("/b",)),
    Running(None, None, None, None, None, "bare", 3, 2, ("/",)),
]


def run(data: bytes) -> None:
    given: dict[str, list[str]] = {}
    for line in os.fsdecode(data).split("\n"):
        option, _, value = line.partition("=")
        if "\0" not in value:  # no argument of a program has one
            given.setdefault(option, []).append(value)
    words = {option: given.get(option, []) for option in ("comm", "uid", "cgroup", "port", "daddr")}
    wishes = Wishes(
        comm=words["comm"], uid=words["uid"], cgroup=words["cgroup"], port=words["port"], daddr=words["daddr"], family=4 if "4" in given else None
    )
    for name in given.get("container", ()):
        find(name, RUNNING)
    found = parse(wishes)
    found.flags()
    for source in ("filters", "tcp"):
        found.map_keys(source)


TARGET = Target(
    run,
    lambda: [
        b"port=443\nport=8000-8100\ndaddr=10.0.0.0/8\ndaddr=2001:db8::1\nuid=0\nuid=root\ncomm=nginx\ncgroup=1\n4",
        b"container=4f797c5\ncontainer=web-0\ncontainer=bare\ncontainer=web",
    ],
    words=(b"port=", b"daddr=", b"uid=", b"comm=", b"cgroup=", b"container=", b"4f797c", b"::ffff:0.0.0.0/96", b"-", b"/", b"%eth0", b"9" * 20),
)
