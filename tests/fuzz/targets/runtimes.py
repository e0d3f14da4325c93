"""The files that container runtimes keep: the first byte chooses the runtime, the rest is its file."""

from __future__ import annotations

import json
import random

from recorder.identity import Identity
from recorder.runtimes import Runtimes
from tests.fuzz.odd_json import mutate_json
from tests.fuzz.target import Target, scratch
from tests.recorder.test_runtimes import CONTAINERD, DOCKER, STORAGE, A, B, crio, docker_config, podman, stored

ROOT = scratch()
FILES = (
    ("docker", DOCKER.format(A)),
    ("podman", STORAGE),
    ("cri-o", STORAGE),
    ("containerd", CONTAINERD.format("k8s.io", A)),
    ("lxc", f"var/lib/lxc/{A}/config"),
    ("systemd-nspawn", f"run/systemd/machines/{A}"),
    (None, DOCKER.format(A)),
)
for _, place in FILES:
    (ROOT / place).parent.mkdir(parents=True, exist_ok=True)


def run(data: bytes) -> None:
    runtime, path = FILES[data[0] % len(FILES)] if data else FILES[0]
    (ROOT / path).write_bytes(data[1:])
    named = Runtimes(ROOT).lookup(Identity(A, runtime))
    if named:
        for text in (named.name, named.image):
            assert text is None or 0 < len(text.encode()) <= 4_096
    (ROOT / path).unlink()


def seeds() -> list[bytes]:
    annotations = {"io.kubernetes.cri.container-name": "web", "io.kubernetes.cri.image-name": "nginx", "nerdctl/name": "web"}
    contents = [
        json.dumps(docker_config()),
        json.dumps([stored(A, podman(), ["web"])]),
        json.dumps([stored(B, "", []), stored(A, crio(f"k8s_nginx_web-0_default_{B}_0"), ["k8s"])]),
        json.dumps({"ociVersion": "1.1.0", "annotations": annotations}),
        "lxc.rootfs.path = dir:/var/lib/lxc/web/rootfs\n# a comment\nlxc.uts.name = web\n",
        "NAME=web\nROOT=/var/lib/machines/web\nCLASS=container\n",
    ]
    return [bytes([number]) + text.encode() for number, text in enumerate(contents)]


def mutate(data: bytes, chance: random.Random) -> bytes:
    return data[:1] + mutate_json(data[1:], chance)


TARGET = Target(
    run,
    seeds,
    mutate=mutate,
    words=(b"null", b"[[[[[[[[", b'{"a":', b'"\\ud800"', b"1e999", b"-0", b"NaN", b"\\u0000", b'"id":', b'"names":', b'"metadata":'),
)
