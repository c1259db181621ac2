# SPDX-License-Identifier: Apache-2.0
"""A real OpenSSH server on a loopback port, with generated keys; it may run inside a NodeRig's root."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.acquire.rigs.wait import until

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


def free_port(twin: int = 0) -> int:
    """A port that nobody listens on, and neither on the one that is `twin` above it.

    Both are below those that the kernel gives to connections: a server that starts slowly would lose its port to one.
    """
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = low // 3 + secrets.randbelow(low - twin - low // 3)
        try:
            for wanted in {port, port + twin}:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", wanted))
        except OSError:
            continue
        return port


def keygen(path: Path, comment: str = "memir-test") -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        check=True,
        capture_output=True,
    )
    return path


@dataclass
class Sshd:
    """`folder` gets keys, configuration, log; with `chroot` it must be below that root."""

    folder: Path
    chroot: Path | None = None
    extra: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Sshd:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host_key = keygen(self.folder / "host_key")
        self.client_key = keygen(self.folder / "client_key")
        (self.folder / "authorized_keys").write_bytes(self.client_key.with_suffix(".pub").read_bytes())
        self.trust(self.known_hosts)
        (self.chroot or Path("/")).joinpath("run/sshd").mkdir(exist_ok=True)
        inner = Path("/") / self.folder.relative_to(self.chroot) if self.chroot else self.folder
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {inner}/host_key",
            f"AuthorizedKeysFile {inner}/authorized_keys",
            f"PidFile {inner}/sshd.pid",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "MaxStartups 100",
            "MaxSessions 100",
            "LogLevel VERBOSE",
            "AllowTcpForwarding yes",
            *self.extra,
        ]
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")
        self.config = inner / "sshd_config"
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def trust(self, path: Path, port: int | None = None, key: Path | None = None) -> Path:
        """Write a known_hosts file that names this server's key (or another) for a port."""
        kind, body, *_ = (key or self.host_key).with_suffix(".pub").read_text().split()
        path.write_text(f"[127.0.0.1]:{port or self.port} {kind} {body}\n")
        return path

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [*(["chroot", str(self.chroot)] if self.chroot else []), SSHD, "-D", "-e", "-f",
            str(self.config)], stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        until(self._answers, self.log)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 10) as link:
                return bool(link.recv(4))
        except OSError:
            return False

    def stop(self) -> None:
        """Stop the listener; sessions go on, as after `systemctl stop ssh`."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def crash(self) -> None:
        """Kill the listener and every session, as a reboot does."""
        assert self.process is not None
        listener = self.process.pid
        for pid in sorted(sessions(listener), reverse=True):
            try:
                signal.pidfd_send_signal(_pidfd(pid), signal.SIGKILL)
            except OSError:
                continue
        self.process.kill()
        self.process.wait(60)
        self.process = None

    def log(self) -> str:
        return (self.folder / "log").read_text()


def _pidfd(pid: int) -> int:
    import os

    return os.pidfd_open(pid)


def sessions(listener: int) -> list[int]:
    """Every descendant of a process, by its own pid only."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found: list[int] = []
    wave = [listener]
    while wave:
        wave = [pid for pid, parent in parents.items() if parent in wave]
        found += wave
    return found
