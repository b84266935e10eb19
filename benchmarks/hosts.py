"""Hosts on one machine: network and process namespaces with file systems of their own.

A host has an address on a bridge, a name, process numbers from 1, /tmp and /dev/shm of its own, and
whatever is laid over its folders. To power one off is to take its link down and to kill it. Needs
root, `ip`, `unshare` and `nsenter`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NETWORK = "10.77.0"
HERE = Path(__file__).resolve().parent


def why_not() -> str:
    """Why there can be no hosts here; "" if there can."""
    if os.geteuid() != 0:
        return "hosts of namespaces need root"
    for tool in ("ip", "unshare", "nsenter"):
        if shutil.which(tool) is None:
            return f"there is no `{tool}`"
    tried = subprocess.run(
        ["unshare", "--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "true"],
        capture_output=True,
    )
    return "" if tried.returncode == 0 else "namespaces cannot be made here"


@dataclass
class Host:
    """A host. over: what lies over a file or folder there, None: nothing, so that it is empty."""

    network: Network
    name: str
    number: int
    over: Mapping[Path, Path | None] = field(default_factory=dict)
    first: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{NETWORK}.{self.number}"

    @property
    def namespace(self) -> str:
        return f"{self.network.name}-{self.number}"

    @property
    def temporary(self) -> Path:
        return self.network.folder / "hosts" / f"{self.number}"

    def start(self) -> Host:
        """Power on."""
        here, link = self.namespace, f"v{os.getpid() % 10000}-{self.number}"
        run("ip", "netns", "add", here)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", here)
        run("ip", "link", "set", link, "netns", self.network.name)
        inside = ("ip", "-n", self.network.name, "link", "set", link)
        run(*inside, "master", "bridge")
        run(*inside, "up")
        run("ip", "-n", here, "addr", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", here, "link", "set", "eth0", "up")
        run("ip", "-n", here, "link", "set", "lo", "up")
        self.temporary.mkdir(parents=True, exist_ok=True)
        lines = [
            "set -e",
            "mount --make-rprivate /",
            f"hostname {self.name}",
            *self._kept_in_tmp(),
            f"mount --rbind {self.temporary} /tmp",
            "mount -t tmpfs tmpfs /dev/shm",
        ]
        for place, other in self.over.items():
            if other is None:
                lines.append(f"mount -t tmpfs tmpfs {place}")
            else:
                lines.append(f"mount --bind {other} {place}")
        # The first process of a host takes care of those whose parents have ended; `sleep` would
        # leave them as zombies, over which Ray stumbles.
        lines.append("exec bash -c 'while :; do sleep 3600 & wait; done'")
        apart = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child"]
        self.first = subprocess.Popen(
            ["ip", "netns", "exec", here, *apart, "--mount-proc", "sh", "-c", "\n".join(lines)]
        )
        end = time.monotonic() + 10
        while not self.running and time.monotonic() < end:
            time.sleep(0.05)
        return self

    def _kept_in_tmp(self) -> list[str]:
        """What a host needs and lies below /tmp, which it has of its own, is there too."""
        needed = {Path(__file__).resolve().parents[1], Path(sys.prefix), self.network.folder}
        lines = []
        for folder in sorted(path for path in needed if Path("/tmp") in path.parents):
            inside = self.temporary / folder.relative_to("/tmp")
            lines += [f"mkdir -p {inside}", f"mount --bind {folder} {inside}"]
        return lines

    @property
    def pid(self) -> int | None:
        """Of its process number 1, as this machine counts."""
        assert self.first is not None
        try:
            words = Path(f"/proc/{self.first.pid}/task/{self.first.pid}/children").read_text()
        except OSError:
            return None
        return int(words.split()[0]) if words.split() else None

    @property
    def running(self) -> bool:
        """Whether it is ready: its folders are as they should be."""
        try:
            return Path(f"/proc/{self.pid}/comm").read_text().strip() == "bash"
        except OSError:
            return False

    def command(self, *words: str) -> list[str]:
        """What runs a command there."""
        assert self.pid is not None
        return ["nsenter", "-t", str(self.pid), "-a", *words]

    def popen(self, *words: str, **choices: object) -> subprocess.Popen[str]:
        return subprocess.Popen(self.command(*words), text=True, **choices)  # type: ignore[call-overload]

    def run(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        return run(*self.command(*words), env=env)

    def processes(self, mark: str) -> list[int]:
        """Processes there, as it counts, whose command line has this in it."""
        done = subprocess.run(self.command("pgrep", "-f", mark), capture_output=True, text=True)
        return [int(line) for line in done.stdout.split()]

    def link_down(self) -> None:
        run("ip", "-n", self.namespace, "link", "set", "eth0", "down")

    def power_off(self) -> None:
        """Link first, so that nobody hears of what ends."""
        self.link_down()
        self.stop()

    def stop(self) -> None:
        if self.first is not None and self.first.poll() is None:
            self.first.kill()
            self.first.wait()
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True)


class Network:
    """A bridge, and the hosts on it; ends with the `with`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.name = f"gtr{os.getpid()}"
        self.hosts: list[Host] = []

    def __enter__(self) -> Network:
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", self.name, "link", "set", "bridge", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts:
            host.stop()
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    def host(self, name: str, over: Mapping[Path, Path | None] | None = None) -> Host:
        """One more, powered on."""
        host = Host(self, name, len(self.hosts) + 1, over or {})
        self.hosts.append(host)
        return host.start()


def run(*words: str, env: Mapping[str, str] | None = None) -> str:
    """What it printed; RuntimeError with its last words if it failed."""
    environment = {**os.environ, **env} if env else None
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    if done.returncode:
        told = (done.stderr or done.stdout).strip()[-2000:]
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {told}")
    return done.stdout


class RayCluster:
    """Ray on hosts: the head on the first, nodes on the others; token authentication."""

    TOKEN = "f0e1d2c3" * 8

    def __init__(self, python: Path, memory: int = 400 << 20):
        self._python, self._ray = str(python), str(python.parent / "ray")
        self._memory = memory
        self.head: Host | None = None
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.TOKEN,
            "RAY_USAGE_STATS_ENABLED": "0",
            "HF_HUB_OFFLINE": "1",
            # The checkout that this file is in, whatever is installed.
            "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parent / "evaluate"))),
        }

    def start_head(self, host: Host, cpus: int = 0) -> None:
        self.head = host
        words = ["--head", "--port=6379", "--ray-client-server-port=10001"]
        self._start(host, cpus, [*words, "--include-dashboard=false"])
        # Ray's own command does not wait for the port of Ray Client.
        script = "import socket; socket.create_connection(('127.0.0.1', 10001), 1)"
        end = time.monotonic() + 60
        while subprocess.run(
            host.command(self._python, "-c", script), stderr=subprocess.DEVNULL
        ).returncode:
            if time.monotonic() > end:
                raise RuntimeError("Ray Client does not answer on the head's host")
            time.sleep(0.2)

    def join(self, host: Host, cpus: int = 1) -> None:
        assert self.head is not None
        self._start(host, cpus, [f"--address={self.head.address}:6379"])

    def _start(self, host: Host, cpus: int, words: Sequence[str]) -> None:
        host.run(
            *(self._ray, "start", *words, f"--node-ip-address={host.address}"),
            *(f"--num-cpus={cpus}", f"--object-store-memory={self._memory}"),
            "--disable-usage-stats",
            env=self.environment,
        )
