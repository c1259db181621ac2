# SPDX-License-Identifier: Apache-2.0
"""Scripts over AWS Systems Manager: no open port, no key on the node, and no secret in a command's text.

The first script that has data opens a session: a directory on the node's tmpfs with a fresh key pair. Data
goes as an envelope to that key, small ones in the command, large ones through the bucket; outputs that SSM
would cut come back through the bucket with a URL that fits their hash alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import shlex
import threading
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memir.acquire.node_files import node_script, node_text
from memir.acquire.transports.base import Result, Stream
from memir.acquire.transports.ssm.command import Answer, Commander
from memir.acquire.transports.ssm.seal import seal, unpack
from memir.acquire.transports.ssm.spool import Spool, send_script
from memir.aws.address import S3Address
from memir.aws.client import Client
from memir.aws.instances import instance_memory
from memir.errors import AccessError, ConnectError, NodeError, RemoteError, StorageError
from memir.evidence.plan import Check, Step, Trace

RECEIPT = "memir-ssm "
ROOM = 18_000
"""Characters of output that travel in SSM's 24,000."""
ERROR_BYTES = 16_000  # 21,336 characters of base64 at the worst, of SSM's 24,000
INLINE = 8_000
"""Bytes of data that travel in a command."""


@dataclass(frozen=True, slots=True)
class Session:
    """The session's directory on the node, its certificate (PEM; b"" without openssl) and its HTTP client."""

    directory: str
    certificate: bytes
    http: str


class SsmTransport:
    """One instance."""

    kind = "ssm"
    streams = False

    def __init__(
        self, commander: Commander, *, s3: Client | None = None, spool: S3Address | None = None,
        sts: Client | None = None, ec2: Client | None = None, grace: int = 900,
    ) -> None:  # fmt: skip
        self.commander, self.grace = commander, grace
        self._sts, self._ec2 = sts, ec2
        self._name = secrets.token_hex(6)
        self._spool = Spool(s3, spool, self._name) if s3 is not None and spool is not None else None
        self._session: Session | None = None
        self._serial = 0
        self._lock = threading.Lock()
        self._open_lock = threading.Lock()
        self._identity: dict[str, str] = {}

    @property
    def instance_id(self) -> str:
        """The instance."""
        return self.commander.instance_id

    def connect(self) -> None:
        """See that SSM reaches the instance. Raises ConnectError, AccessError."""
        known = self.commander.information()
        ping = str(known.get("PingStatus", "not managed"))
        if ping != "Online":
            raise ConnectError(
                f"instance {self.instance_id} is not online in SSM ({ping}): is the agent running, does the "
                "security group let it reach SSM, has it a role? (no rules means no SSM: acquire before "
                "isolating)"
            )
        if known.get("PlatformType", "Linux") != "Linux":
            raise NodeError(f"instance {self.instance_id} runs {known.get('PlatformType')}, not Linux")
        self._identity = {
            "instance_id": self.instance_id, "host": str(known.get("ComputerName", "")),
            "platform": f"{known.get('PlatformName', '')} {known.get('PlatformVersion', '')}".strip(),
            "agent": str(known.get("AgentVersion", "")), "address": str(known.get("IPAddress", "")),
        }  # fmt: skip

    def identity(self) -> Mapping[str, str]:
        """The instance as SSM knows it, and the caller's ARN."""
        return dict(self._identity)

    def check(self) -> Sequence[Check]:
        """The caller, the ping status, and each SSM action by name."""
        from memir.acquire.transports.ssm.check import ssm_checks

        checks, caller = ssm_checks(self.commander, self._sts)
        self._identity |= caller
        return [*checks, *self._memory()]

    def _memory(self) -> Sequence[Check]:
        """The memory of the instance's type bounds what the node says of itself; not being told it is a note."""
        if self._ec2 is None:
            return ()
        try:
            kind, size = instance_memory(self._ec2, self.instance_id)
        except RemoteError as error:
            return (Check("instance type", "warn", str(error), "allow it to hold the node's RAM against its type"),)
        self._identity |= {"instance_type": kind, "instance_memory": str(size)}
        return (Check("instance type", "ok", f"{kind}, {size:,} bytes of memory"),)

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        """Run a script. Without data and before the session is open no file is made on the node.

        A script that writes more than SSM carries is run again in a session: only readers write that much.
        """
        if self._session is None and not data:
            result = self._once(script, timeout, limit)
            if result is not None:
                return result
        return self._in_session(script, data, timeout, limit)

    def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
        """SSM moves no bytes."""
        raise NodeError(
            f"SSM carries no stream of bytes ({len(script)} byte script, {len(data)} of data): send the "
            "image to S3 (--to s3://BUCKET/PREFIX), or acquire over ssh or a pod"
        )

    def put(self, path: str, source: bytes | Path, *, mode: int = 0o600) -> None:
        """Write a file."""
        data = source if isinstance(source, bytes) else source.read_bytes()
        quoted = shlex.quote(path)
        result = self.run(f"umask 077; cat > {quoted} && chmod {mode:o} {quoted}", data=data, timeout=600)
        if result.code != 0:
            raise ConnectError(f"cannot write {path} on the node: {result.error.strip() or result.code}")

    def steps(self) -> Sequence[Step]:
        """What using SSM does."""
        return (
            Step(f"ask SSM about {self.instance_id}", "aws", "ssm:DescribeInstanceInformation"),
            Step("run scripts as root through AWS-RunShellScript", "aws", "ssm:SendCommand", changes=True),
            Step("make a key pair in a private directory on tmpfs; a watchdog removes it", "node", changes=True),
        )

    def traces(self) -> Sequence[Trace]:
        """What using SSM leaves."""
        place = "/var/lib/amazon/ssm/.../document/orchestration/COMMAND/awsrunShellScript"
        spool = self._spool.address.url(f".memir-{self._name}/") if self._spool else "the bucket"
        return (
            Trace("/var/log/amazon/ssm/amazon-ssm-agent.log", "the text of every command (nothing secret in it)"),
            Trace(place, "_script.sh, stdout and stderr of every command, on the node's disk"),
            Trace("CloudTrail", "SendCommand, GetCommandInvocation, DescribeInstanceInformation"),
            Trace("SSM command history (30 days)", "the text and output of every command"),
            Trace(spool, "envelopes with data and large outputs; deleted after use", stays=False),
        )

    def reconnect(self) -> None:
        """Nothing is held open; see that the instance is there."""
        self.connect()

    def close(self) -> None:
        """Remove the session from the node; the watchdog does it if this cannot."""
        session, self._session = self._session, None
        if session is None:
            return
        quoted = shlex.quote(session.directory)
        with contextlib.suppress(ConnectError, AccessError, StorageError):
            self.commander.run(f"kill $(cat {quoted}/watch.pid) 2>/dev/null; rm -rf {quoted}", 30)

    # one command without a session

    def _once(self, script: str, timeout: float, limit: int) -> Result | None:
        answer = self.commander.run(node_script("ssm_once", S=script, ROOM=ROOM), timeout)
        receipt = self._receipt(answer)
        if receipt.get("cut") is True:
            return None
        body = unpack(self._line(answer.out, "O"), "output")
        out, _, code = body.rpartition(b"\n")
        if not re.fullmatch(rb"[0-9]{1,3}", code):
            raise NodeError(f"{self.commander.where}: the node's answer gives no exit status")
        err = answer.err.encode()
        return Result(int(code), out[:limit], err[-limit:], len(out) > limit or answer.truncated)

    # commands in a session

    def _in_session(self, script: str, data: bytes, timeout: float, limit: int) -> Result:
        session = self._open()
        with self._lock:
            self._serial += 1
            serial = self._serial
        envelope, spooled = self._envelope(session, data, serial)
        text = node_script(
            "ssm_go", D=session.directory, N=serial, ROOM=ROOM, ERR=ERROR_BYTES,
            SUM=hashlib.sha256(data).hexdigest(), SEAL=envelope, S=script,
        )  # fmt: skip
        try:
            answer = self.commander.run(text, timeout)
        finally:
            if spooled and self._spool is not None:
                self._spool.forget(spooled)
        if answer.code == 77:
            raise ConnectError(f"{self.commander.where}: the session on the node is gone (reboot, or watchdog)")
        receipt = self._receipt(answer)
        code, size, sha256 = receipt.get("code"), receipt.get("size"), receipt.get("sha256")
        if not isinstance(code, int) or not isinstance(size, int) or not isinstance(sha256, str):
            raise NodeError(f"{self.commander.where}: the node's receipt is not whole")
        err = unpack(self._line(answer.err, "E"), "error output")
        if code == 78 and b"did not open" in err:
            raise ConnectError(f"{self.commander.where}: data did not reach the script: {err[:300]!r}")
        if receipt.get("kept") is True:
            out = self._fetch(session, serial, size, sha256, limit)
        else:
            out = unpack(self._line(answer.out, "O"), "output")
            if hashlib.sha256(out).hexdigest() != sha256:
                raise NodeError(f"{self.commander.where}: the output is not what the node hashed")
        return Result(code, out[:limit], err[-limit:], size > limit)

    def _open(self) -> Session:
        with self._open_lock:
            if self._session is None:
                script = node_script(
                    "ssm_open", NAME=self._name, GRACE=self.grace, POLL=max(1, min(15, self.grace // 4)),
                    LIB=node_text("ssm_lib.sh"), WATCH=node_text("ssm_watch.sh"),
                )  # fmt: skip
                receipt = self._receipt(self.commander.run(script, 120))
                directory = str(receipt.get("dir", ""))
                if not re.fullmatch(r"/(dev/shm|run)/\.memir-ssm-[0-9a-f]+", directory):
                    raise NodeError(f"{self.commander.where}: no session could be opened on tmpfs")
                certificate = b64decode(str(receipt.get("cert", "")))
                self._session = Session(directory, certificate, str(receipt.get("http", "")))
            return self._session

    def _envelope(self, session: Session, data: bytes, serial: int) -> tuple[str, str]:
        """The envelope in base64 and the name of the spooled object, "" if there is none."""
        if not data:
            return "", ""
        if not session.certificate:
            raise NodeError(
                f"instance {self.instance_id} has no openssl: nothing secret can be sent to it over SSM; "
                "acquire over ssh or a pod"
            )
        if len(data) <= INLINE:
            return b64encode(seal(b"inline\n" + data, session.certificate)).decode(), ""
        name = f"{serial}.in"
        url = self._bucket().stage(seal(data, session.certificate), name)
        return b64encode(seal(f"url {url}\n".encode(), session.certificate)).decode(), name

    def _bucket(self) -> Spool:
        if self._spool is None:
            raise NodeError("SSM carries only small data by itself: give an S3 destination (--to s3://BUCKET/PREFIX)")
        return self._spool

    def _fetch(self, session: Session, serial: int, size: int, sha256: str, limit: int) -> bytes:
        """A large output through the bucket, with a URL that is signed for its hash."""
        path = f"{session.directory}/o.{serial}"
        if size > max(limit, 64 << 20):
            self._in_session(f"rm -f {shlex.quote(path)}", b"", 30, 1 << 10)
            raise NodeError(f"{self.commander.where}: a script wrote {size} bytes, too much for SSM")
        spool, name = self._bucket(), f"{serial}.out"
        script = send_script(path, sha256, session.http)
        result = self._in_session(script, f"{spool.invite(name, sha256)}\n".encode(), 300, 1 << 12)
        if result.code != 0:
            why = result.error[-300:]
            raise StorageError(f"{self.commander.where}: a large output could not be stored: {why}")
        return spool.take(name, sha256)

    # reading answers

    def _receipt(self, answer: Answer) -> dict[str, Any]:
        """The JSON of the last line. Raises ConnectError when the node did not get that far."""
        lines = answer.out.rstrip("\n").splitlines()
        if lines and lines[-1].startswith(RECEIPT) and not answer.truncated:
            try:
                receipt = json.loads(lines[-1][len(RECEIPT) :])
            except ValueError:
                receipt = None
            if isinstance(receipt, dict):
                return receipt
        why = "SSM cut its output" if answer.truncated else answer.err.strip()[-300:] or "no reason was given"
        raise ConnectError(
            f"{self.commander.where}: command {answer.command_id} ended as {answer.status} with "
            f"{answer.code} and without its receipt: {why}"
        )

    def _line(self, text: str, mark: str) -> str:
        for line in text.splitlines():
            if line.startswith(mark + " "):
                return line[2:]
        raise NodeError(f"{self.commander.where}: the node's answer lacks its {mark} line")
