# SPDX-License-Identifier: Apache-2.0
"""The node that memir itself runs on, or one whose root file system is mounted (`--root /host`)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from memir.acquire.transports.base import Result, Stream, bootstrap
from memir.errors import AccessError, ConnectError, NodeError
from memir.evidence.plan import Check, Step, Trace

KEEP = 1 << 16  # the end of what a script says on standard error: its receipt is in there


class Drain(threading.Thread):
    """Reads a pipe to its end and keeps the first `limit` bytes, or the last with `tail`."""

    def __init__(self, pipe: IO[bytes], limit: int, *, tail: bool = False) -> None:
        super().__init__(daemon=True)
        self.pipe, self.limit, self.tail = pipe, limit, tail
        self.kept, self.dropped = bytearray(), False
        self.start()

    def run(self) -> None:
        """Read until the writer closes."""
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self.pipe.fileno(), 1 << 16):
                self.kept += chunk
                if len(self.kept) > self.limit:
                    self.dropped = True
                    if self.tail:
                        del self.kept[: len(self.kept) - self.limit]
                    else:
                        del self.kept[self.limit :]


class ProcessStream:
    """Standard output of a process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdout and process.stderr
        with contextlib.suppress(OSError):
            # fewer wake-ups than with 64 KiB; the kernel may refuse when the user has many pipes
            fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)
        self.out, self.err = process.stdout, Drain(process.stderr, KEEP, tail=True)

    def read(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end."""
        return os.read(self.out.fileno(), size)

    def wait(self, timeout: float) -> Result:
        """Exit status (None when killed by a signal) and standard error."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise ConnectError(f"the script did not end within {timeout:.0f} s after its output did") from error
        self.err.join(5)
        return Result(code if code >= 0 else None, b"", bytes(self.err.kept), self.err.dropped)

    def close(self) -> None:
        """Stop the process."""
        self.out.close()
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)


class LocalTransport:
    """Scripts run as child processes; no network."""

    kind = "local"
    streams = True

    def __init__(self, root: Path | None = None, sudo: bool = False) -> None:
        self.root, self.sudo = root, sudo

    def connect(self) -> None:
        """See that scripts run as root."""
        if self.root is not None and not (self.root / "proc").is_dir():
            raise NodeError(
                f"--root {self.root}: no root file system of a node is there: mount it, or give where it is (/host in"
                " a pod of kubectl debug node/NAME)"
            )
        result = self.run("id -u", timeout=20)
        user, why = result.text.strip(), result.error.strip()
        if user == "0":
            return
        if os.geteuid() == 0 and not user:
            raise NodeError(f"no script can be run {f'in {self.root}' if self.root else 'here'}: {why or result.code}")
        raise AccessError(
            f"memir cannot read this machine's RAM as it is not root ({why or f'user id {user}'}): run it with sudo"
        )

    def identity(self) -> Mapping[str, str]:
        """Host name and kernel of this machine."""
        known = {"host": platform.node(), "kernel": platform.release()}
        return known | ({"root": str(self.root)} if self.root else {})

    def check(self) -> Sequence[Check]:
        """Nothing of its own to look at."""
        return ()

    def command(self, boot: str) -> list[str]:
        """The argument vector that runs a bootstrap."""
        prefix = ["sudo", "-n", "--"] if self.sudo else []
        if self.root is not None:
            prefix += ["chroot", str(self.root)]
        return [*prefix, "/bin/sh", "-c", boot]

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        """Run a script to its end."""
        process, writer = self._start(script, data)
        assert process.stdout and process.stderr
        out, err = Drain(process.stdout, limit), Drain(process.stderr, limit)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise ConnectError(f"a script on this machine did not end within {timeout:.0f} s") from error
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            for thread in (writer, out, err):
                thread.join(2)
            process.stdout.close()
            process.stderr.close()
        return Result(code if code >= 0 else None, bytes(out.kept), bytes(err.kept), out.dropped or err.dropped)

    def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
        """Start a script and read its output."""
        process, _ = self._start(script, data)
        return ProcessStream(process)

    def put(self, path: str, source: bytes | Path, *, mode: int = 0o600) -> None:
        """Write a file."""
        data = source if isinstance(source, bytes) else source.read_bytes()
        put_bytes(self.run, path, data, mode)

    def steps(self) -> Sequence[Step]:
        """Nothing to connect to."""
        return (Step("run scripts as root on this machine", "node", shlex.join(self.command("..."))),)

    def traces(self) -> Sequence[Trace]:
        """Process accounting and audit only."""
        left = [Trace("audit log, process accounting", "the processes that memir starts, if auditing is on")]
        if self.sudo:
            left.append(Trace("journal or auth.log", "one sudo line a script, with a fixed text"))
        return left

    def reconnect(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def _start(self, script: str, data: bytes) -> tuple[subprocess.Popen[bytes], threading.Thread]:
        boot, first = bootstrap(script)
        command = self.command(boot)
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                cwd="/",
            )  # fmt: skip
        except OSError as error:
            raise NodeError(f"{command[0]} cannot be run here: {error.strerror or error}: is it on PATH?") from error
        assert process.stdin
        writer = threading.Thread(target=_feed, args=(process.stdin, first, data), daemon=True)
        writer.start()
        return process, writer


def _feed(pipe: IO[bytes], *chunks: bytes) -> None:
    # a script that ends before it reads everything is no error of the writer's
    with contextlib.suppress(BrokenPipeError), pipe:
        for chunk in chunks:
            pipe.write(chunk)


def put_bytes(run: Callable[..., Result], path: str, data: bytes, mode: int) -> None:
    """Write a file with a transport's `run`. Raises ConnectError when it does not arrive."""
    quoted = shlex.quote(path)
    result = run(f"umask 077; cat > {quoted} && chmod {mode:o} {quoted}", data=data, timeout=600)
    if result.code != 0:
        raise ConnectError(f"cannot write {path} on the node: {result.error.strip() or result.code}")
