# SPDX-License-Identifier: Apache-2.0
"""What an SSM agent does with AWS-RunShellScript on its instance, on this machine.

As seen with a real agent: the whole command text is written to its log and to `_script.sh`, which stays; the
script runs under /bin/sh in a process group of its own; cancel and timeout are SIGKILL to that group, so
shell traps do not run and what left the group lives on; a background child that holds standard output keeps
the command InProgress.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

LIMIT = 24_000
MARK = "\n--output truncated--"


def shorten(data: bytes) -> str:
    """Output as GetCommandInvocation gives it."""
    text = data.decode("utf-8", "replace")
    return text if len(text) <= LIMIT else text[: LIMIT - len(MARK)] + MARK


@dataclass
class Invocation:
    """One command on one instance."""

    command_id: str
    instance_id: str
    text: str
    execution_timeout: float
    delivery_end: float
    status: str = "Pending"
    details: str = "Pending"
    code: int = -1
    asked: int = 0
    """How often the service was asked about it."""
    out: str = ""
    err: str = ""
    process: subprocess.Popen[bytes] | None = None
    far_kill: list[str] | None = None
    """The command that kills it where it runs, on another machine."""
    ended: threading.Event = field(default_factory=threading.Event)

    def end(self, status: str, details: str, code: int) -> None:
        """Set the final state once."""
        if not self.ended.is_set():
            self.status, self.details, self.code = status, details, code
            self.ended.set()

    def kill(self) -> None:
        """SIGKILL to the process group."""
        if self.far_kill is not None and not self.ended.is_set():
            subprocess.run(self.far_kill, capture_output=True, check=False, timeout=60)
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


@dataclass
class Agent:
    """One instance. ping: Online, ConnectionLost or Inactive."""

    instance_id: str
    folder: Path
    ping: str = "Online"
    environment: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    root: Path | None = None
    """The node's root file system, where it is not this machine's own."""
    remote: list[str] | None = None
    """The command that reaches another machine, which is the node: it gets the script as the agent would write it."""
    dead: bool = False
    kill_after: float | None = None
    """Seconds after which the agent dies in the middle of the next command (as `kill -9` of the agent)."""
    reboot_after: float | None = None
    invocations: list[Invocation] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "amazon-ssm-agent.log"

    def take(self, one: Invocation) -> None:
        """Accept a command; it is delivered when the agent is online."""
        self.invocations.append(one)
        threading.Thread(target=self._deliver, args=(one,), daemon=True).start()

    def _deliver(self, one: Invocation) -> None:
        while self.ping != "Online" or self.dead:
            if time.monotonic() > one.delivery_end:
                one.end("TimedOut", "DeliveryTimedOut", -1)
                return
            if one.ended.wait(0.02):
                return
        if one.ended.is_set():
            return
        one.status = one.details = "InProgress"
        self._execute(one)

    def _execute(self, one: Invocation) -> None:
        place = self.folder / "orchestration" / one.command_id / "awsrunShellScript" / "0.awsrunShellScript"
        place.mkdir(parents=True)
        script = place / "_script.sh"
        # by a process of its own, as the agent has a worker for each command: what another thread of this one starts
        # meanwhile would hold the file open for writing, and it could not be run ("Text file busy")
        subprocess.run(["install", "-m", "700", "/dev/stdin", script], input=one.text.encode(), check=True)
        with self.log.open("a") as log:
            log.write(f"INFO [ssm-document-worker] {one.command_id} runCommand {one.text!r}\n")
        environment = {"PATH": os.environ["PATH"], "HOME": "/root", "AWS_SSM_INSTANCE_ID": self.instance_id}
        command = ["/bin/sh", "-c", str(script)]
        if self.root is not None:
            command = ["chroot", str(self.root), "/bin/sh", "-c", one.text]
        if self.remote is not None:
            there = f"/var/lib/amazon/ssm/{one.command_id}"
            # it says its process group first: the end of a connection ends nothing there
            run = f"echo $$ > {there}/group; exec /bin/sh {there}/_script.sh"
            write = f"mkdir -p {there} && cat > {there}/_script.sh && exec setsid -w /bin/sh -c '{run}' </dev/null"
            one.far_kill = [*self.remote, f"kill -s KILL -- -$(cat {there}/group)"]
            command = ["/bin/sh", "-c", f"{shlex.join([*self.remote, write])} < {shlex.quote(str(script))}"]
        one.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True, cwd=place, env=environment | self.environment,
        )  # fmt: skip
        kept: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
        readers = [
            threading.Thread(target=self._read, args=(pipe, kept[name]), daemon=True)
            for name, pipe in (("out", one.process.stdout), ("err", one.process.stderr))
        ]
        for reader in readers:
            reader.start()
        end = time.monotonic() + one.execution_timeout
        die = time.monotonic() + self.kill_after if self.kill_after is not None else None
        boot = time.monotonic() + self.reboot_after if self.reboot_after is not None else None
        while any(reader.is_alive() for reader in readers) or one.process.poll() is None:
            if self.dead:
                return
            now = time.monotonic()
            if die is not None and now > die:
                # the worker dies, its script does not; nobody reports any more
                self.dead, self.ping, self.kill_after = True, "ConnectionLost", None
                return
            if boot is not None and now > boot:
                one.kill()
                self.reboot_after = None
                one.end("Failed", "Failed", -1)
                return
            if now > end:
                one.kill()
                self._outputs(one, kept)
                one.end("TimedOut", "ExecutionTimedOut", 137)
                return
            if one.status == "Cancelling":
                one.kill()
                self._outputs(one, kept)
                one.end("Cancelled", "Cancelled", 137)
                return
            time.sleep(0.01)
        if self.dead:
            return
        self._outputs(one, kept)
        code = one.process.returncode
        if code < 0:
            code = 128 - code
        one.end("Success" if code == 0 else "Failed", "Success" if code == 0 else "Failed", code)

    @staticmethod
    def _outputs(one: Invocation, kept: dict[str, bytearray]) -> None:
        one.out, one.err = shorten(bytes(kept["out"])), shorten(bytes(kept["err"]))

    @staticmethod
    def _read(pipe: object, into: bytearray) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(pipe.fileno(), 65536):  # type: ignore[attr-defined]  # a pipe
                into += chunk

    def revive(self) -> None:
        """The agent starts again; what ran under the old one is reported as failed."""
        self.dead, self.ping = False, "Online"
        for one in self.invocations:
            if one.status == "InProgress":
                one.end("Failed", "Failed", -1)

    def disk(self) -> bytes:
        """Everything that the agent wrote to the node's disk."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file())

    def stop(self) -> None:
        """Kill what still runs."""
        for one in self.invocations:
            one.kill()
