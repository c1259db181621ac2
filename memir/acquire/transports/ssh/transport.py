# SPDX-License-Identifier: Apache-2.0
"""A node reached by SSH: ~/.ssh/config, jump hosts, agent, strict host keys.

paramiko is used as it is in a process of its own right: nothing is written to known_hosts, no terminal is
asked for, and the connection's loss is never taken for the end of a stream (an end counts only with an exit
status).
"""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.acquire.transports.base import Result, Stream, bootstrap
from memir.acquire.transports.local import KEEP, put_bytes
from memir.acquire.transports.ssh.channels import Connections
from memir.acquire.transports.ssh.first_step import why_not_root
from memir.acquire.transports.ssh.target import SshTarget
from memir.errors import AccessError, ConnectError
from memir.evidence.plan import Check, Step, Trace

if TYPE_CHECKING:
    import paramiko


class ChannelStream:
    """Standard output of a channel. An end without an exit status is a loss, not an end."""

    def __init__(self, channel: paramiko.Channel, host: str, stall: float) -> None:
        self.channel, self.host, self.stall = channel, host, stall
        self.err, self.dropped = bytearray(), False

    def read(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end."""
        quiet = time.monotonic()
        while True:
            self._drain_error()
            try:
                data = self.channel.recv(size)
            except TimeoutError as error:
                self._alive()
                if time.monotonic() - quiet > self.stall:
                    why = f"no byte from {self.host} for {self.stall:.0f} s, though the connection stands"
                    raise ConnectError(f"{why}: look at the node's load and disk, then run again") from error
                continue
            except _broken() as error:
                # reading also sends (it opens the window again), which paramiko reports as an EOFError
                raise ConnectError(f"the connection to {self.host} broke: {error or 'closed'}") from error
            if not data:
                self._alive()
            return data

    def wait(self, timeout: float) -> Result:
        """Exit status and standard error."""
        end = time.monotonic() + timeout
        while not self.channel.exit_status_ready():
            self._drain_error()
            self._alive()
            if time.monotonic() > end:
                raise ConnectError(f"the script on {self.host} gave no exit status within {timeout:.0f} s")
            time.sleep(0.01)
        code = self.channel.recv_exit_status()
        # the end of standard error may come after the exit status
        while not self.channel.eof_received and time.monotonic() < end and self._active():
            self._drain_error()
            time.sleep(0.005)
        self._drain_error()
        return Result(code if code >= 0 else None, b"", bytes(self.err), self.dropped)

    def close(self) -> None:
        """Close the channel; the script gets SIGPIPE."""
        with contextlib.suppress(*_broken()):
            self.channel.close()

    def _active(self) -> bool:
        transport = self.channel.get_transport()
        return transport is not None and transport.is_active()

    def _alive(self) -> None:
        if not self._active():
            raise ConnectError(f"the connection to {self.host} was lost in the middle of a script")

    def _drain_error(self) -> None:
        while self.channel.recv_stderr_ready():
            self.err += self.channel.recv_stderr(1 << 15)
            if len(self.err) > KEEP:
                self.dropped = True
                del self.err[: len(self.err) - KEEP]


class SshTransport:
    """Runs scripts as root over one SSH connection; sudo without a password if the user is not root."""

    kind = "ssh"
    streams = True

    def __init__(self, target: SshTarget) -> None:
        self.target = target
        self.connections = Connections(target)
        self.sudo = False
        self.known: dict[str, str] = {}

    def connect(self) -> None:
        """Reach the host with its key checked, and find out how to be root there."""
        self.connections.connect()
        try:
            self.known = self._identify()
        except _broken() as error:
            raise ConnectError(f"the connection to {self.target.host} was lost at once: {error}") from error
        self.sudo = False
        plain = self.run("id -u", timeout=self.target.timeout + 20)
        if plain.text.strip() == "0":
            return
        self.sudo = True
        with_sudo = self.run("id -u", timeout=self.target.timeout + 20)
        if with_sudo.text.strip() != "0":
            account = f"{self.known['user']}@{self.target.host}"
            self.close()
            raise AccessError(why_not_root(plain, with_sudo, account))

    def _identify(self) -> dict[str, str]:
        transport = self.connections.first()
        key = transport.get_remote_server_key()
        peer = transport.getpeername()
        return {
            "host": self.target.host,
            "address": f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}",
            "user": transport.get_username() or "",
            "host_key": f"{key.get_name()} SHA256:{_fingerprint(key)}",
            "server": transport.remote_version,
            "cipher": str(getattr(transport, "remote_cipher", "")),
        }

    def identity(self) -> Mapping[str, str]:
        """Host, address, user, host key fingerprint."""
        return dict(self.known)

    def check(self) -> Sequence[Check]:
        """The host key was checked when the connection was made."""
        known = self.known.get("host_key", "not connected")
        return (Check("ssh host key", "ok" if self.known else "fail", known),)

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        """Run a script to its end."""
        stream = self._start(script, data)
        out, dropped = bytearray(), False
        end = time.monotonic() + timeout
        stream.channel.settimeout(0.5)
        stream.stall = timeout
        try:
            while chunk := stream.read(1 << 16):
                out += chunk[: max(0, limit - len(out))]
                dropped = dropped or len(out) >= limit
                if time.monotonic() > end:
                    raise ConnectError(f"a script on {self.target.host} did not end within {timeout:.0f} s")
            done = stream.wait(max(1.0, end - time.monotonic()))
        finally:
            stream.close()
        return Result(done.code, bytes(out), done.err[:limit], dropped or done.truncated)

    def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
        """Start a script and read its output."""
        return self._start(script, data)

    def put(self, path: str, source: bytes | Path, *, mode: int = 0o600) -> None:
        """Write a file."""
        put_bytes(self.run, path, source if isinstance(source, bytes) else source.read_bytes(), mode)

    def steps(self) -> Sequence[Step]:
        """The connection."""
        target = f"{self.target.user + '@' if self.target.user else ''}{self.target.host}"
        return (Step(f"connect to {target} by SSH, host key checked against known_hosts", "node"),)

    def traces(self) -> Sequence[Trace]:
        """What sshd, PAM and sudo write."""
        left = [
            Trace("journal or auth.log, wtmp, lastlog", "the SSH login (user, address, key fingerprint)"),
            Trace("audit log, process accounting", "the processes that memir starts, if auditing is on"),
        ]
        if self.sudo or self.target.user not in {None, "root"}:
            left.append(Trace("journal or auth.log", "one sudo line a script, with a fixed text"))
        return left

    def reconnect(self) -> None:
        """Connect again, with the same host key check."""
        self.close()
        self.connect()

    def close(self) -> None:
        """Close the connection and the jump hosts' connections."""
        self.connections.close()

    def _start(self, script: str, data: bytes) -> ChannelStream:
        boot, first = bootstrap(script)
        command = f"{'sudo -n -- ' if self.sudo else ''}/bin/sh -c {shlex.quote(boot)}"
        try:
            channel = self.connections.open_session()
            channel.settimeout(5.0)
            channel.exec_command(command)
        except _broken() as error:
            raise ConnectError(f"cannot start a script on {self.target.host}: {error}") from error
        stream = ChannelStream(channel, self.target.host, self.target.stall)
        threading.Thread(target=_send, args=(channel, first, data), daemon=True).start()
        return stream


def _broken() -> tuple[type[Exception], ...]:
    """What paramiko raises when a connection breaks; it is loaded where it is used, as that takes a while."""
    import paramiko

    return paramiko.SSHException, OSError, EOFError


def _send(channel: Any, *chunks: bytes) -> None:
    # the other side may end before it has read everything; a loss shows up in read()
    with contextlib.suppress(*_broken()):
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                try:
                    view = view[channel.send(view[: 1 << 15]) :]
                except TimeoutError:
                    if channel.closed or not channel.get_transport().is_active():
                        return
        channel.shutdown_write()


def _fingerprint(key: Any) -> str:
    import base64
    import hashlib

    return base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
