"""Real containers: podman, crun and runc of the distribution, and an image made of this machine's own busybox. What is true is what they say."""

from __future__ import annotations

import io
import json
import pwd
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kernel.container_box import namespace
from tests.kernel.harness import PATIENCE_SECONDS, Recording, Row, cgroup_mounts, eventually

IMAGE = "localhost/bpftape/box:1"
MANAGERS = ("systemd", "cgroupfs")
USER = "boxer"
FOREVER = ("/bin/sleep", "100000")
_APPLETS = ("cat", "httpd", "sh", "sleep", "true", "wget")
_FOLDERS = ("dev", "etc", "proc", "sys", "tmp")


def run(*words: str | Path, stdin: bytes = b"") -> str:
    """Run a command to its end and return what it writes on standard output; fail with what it says where it fails."""
    done = subprocess.run(list(map(str, words)), input=stdin, capture_output=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, f"{words}: {done.stderr.decode(errors='replace')}"
    return done.stdout.decode().strip()


def podman(*words: str, manager: str = "systemd", stdin: bytes = b"", user: int | None = None) -> str:
    """Run podman with that cgroup manager, as root or as the user of :func:`make_user`."""
    wrapper: tuple[str, ...] = ()
    if user is not None:
        place = f"/run/user/{user}"
        wrapper = ("runuser", "--user", USER, "--", "env", f"XDG_RUNTIME_DIR={place}", f"DBUS_SESSION_BUS_ADDRESS=unix:path={place}/bus")
    return run(*wrapper, "podman", "--cgroup-manager", manager, *words, stdin=stdin)


def make_user() -> int:
    """Make a user who has containers without being root, and a systemd of their own for that; return the user's id."""
    run("useradd", "--create-home", USER)
    run("usermod", "--add-subuids", "200000-265535", "--add-subgids", "200000-265535", USER)
    run("loginctl", "enable-linger", USER)
    user = pwd.getpwnam(USER).pw_uid
    eventually("the user's own systemd is there", Path(f"/run/user/{user}/bus").exists)
    return user


def started(name: str, *words: str, manager: str = "systemd", command: tuple[str, ...] = FOREVER, user: int | None = None) -> str:
    """Start a container that goes on; ``words`` are further options. Return its id."""
    return podman("run", "--detach", "--name", name, "--network=none", *words, IMAGE, *command, manager=manager, user=user)


def ran(name: str, *command: str, manager: str = "systemd") -> None:
    """Run a container to its end, and have podman forget it."""
    podman("run", "--rm", "--name", name, "--network=none", IMAGE, *command, manager=manager)


def make_root(folder: Path) -> None:
    """Make a container's file system of busybox and of links for what is used of it."""
    for name in ("bin", *_FOLDERS):
        (folder / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", folder / "bin" / "busybox")
    for applet in _APPLETS:
        (folder / "bin" / applet).symlink_to("busybox")


def make_image(root: Path, user: int | None = None) -> None:
    """Import a file system as the image."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as file:
        file.add(root, ".")
    podman("import", "--quiet", "-", IMAGE, stdin=archive.getvalue(), user=user)


def make_bundle(folder: Path, runtime: str, hostname: str, *command: str) -> None:
    """Make what a runtime without podman starts from: a file system, and the configuration that the runtime proposes, with another command."""
    make_root(folder / "rootfs")
    subprocess.run([runtime, "spec"], cwd=folder, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": list(command)}
    (folder / "config.json").write_text(json.dumps(config | {"hostname": hostname}))


@contextmanager
def detached(runtime: str, name: str, bundle: Path, *words: str) -> Iterator[None]:
    """Have a runtime start a container of a bundle that goes on; remove it in the end."""
    # The container keeps what the runtime has as its standard streams: nobody would see a pipe's end.
    subprocess.run([runtime, *words, "run", "--detach", "--bundle", bundle, name], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        run(runtime, "delete", "--force", name)


@dataclass(frozen=True)
class Truth:
    """What is true of a container that goes on, from podman or a runtime, and from /proc."""

    container_id: str
    name: str | None
    image: str | None
    pid: int
    hostname: str
    cgroup_path: str
    cgroup_id: int
    pid_ns: int
    net_ns: int
    user: int | None = None
    """Whose it is, where that is not root."""

    @property
    def place(self) -> Row:
        """Return the columns by which rows of any table are in it."""
        return {"pid_ns": self.pid_ns, "cgroup_id": self.cgroup_id}

    @property
    def row(self) -> Row:
        """Return what a row of the table ``container`` has to say of it."""
        kernels = {"nodename": self.hostname, "cgroup_path": self.cgroup_path, "cgroup_id": self.cgroup_id}
        kernels |= {"delegated_uid": self.user, "pod_uid": None}
        return {"container_id": self.container_id, "name": self.name, "image": self.image, **kernels}


def _truth(container_id: str, name: str | None, image: str | None, pid: int, user: int | None = None) -> Truth:
    """Add what /proc and the host name's own command say of process ``pid``."""
    hostname = run("nsenter", "--target", str(pid), "--uts", "hostname")
    (cgroup_path,) = [line[3:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if line.startswith("0::")]
    cgroup_id = (cgroup_mounts()["cgroup2"] / cgroup_path.lstrip("/")).stat().st_ino
    return Truth(container_id, name, image, pid, hostname, cgroup_path, cgroup_id, namespace(pid, "pid"), namespace(pid, "net"), user)


def inspected(container: str, user: int | None = None) -> Truth:
    """Return what podman says of a container."""
    (said,) = json.loads(podman("inspect", "--type", "container", container, user=user))
    return _truth(said["Id"], said["Name"], said["ImageName"], said["State"]["Pid"], user)


def state(runtime: str, container: str) -> Truth:
    """Return what a runtime says of a container that it alone knows."""
    said = json.loads(run(runtime, "state", container))
    assert said["status"] == "running"
    return _truth(said["id"], None, None, said["pid"])


def diary(event: str) -> list[dict[str, Any]]:
    """Return what podman's own diary has of events of that kind in containers, those of containers that it has forgotten among them."""
    words = ("--stream=false", "--since", "24h", "--filter", "type=container", "--filter", f"event={event}")
    return [json.loads(line) for line in podman("events", *words, "--format", "json").splitlines()]


def contexts(recording: Recording, truth: Truth) -> list[Row]:
    """Return the rows of the table ``container`` that are of one's own cgroup, in the order of time."""
    return sorted(recording.rows("container", **truth.place), key=lambda row: int(row["ts_ns"]))
