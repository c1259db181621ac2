# SPDX-License-Identifier: Apache-2.0
"""The one shape behind every acquisition: who runs steps, what makes the stream, who stores it.

::

    transport   runs shell scripts on the node as root, moves bytes          transports/ (this file's Transport)
    tool        a program or module that writes RAM to a FIFO on the node    tools/base.py
    sink        stores the stream: StreamSink through the controller,        sinks/base.py
                DirectSink from the node itself
    custody     records what happened (memir/evidence/custody.py); run.py drives all four

How the bytes go. On the node, node/capture.sh starts the tool on a FIFO and a *consumer* whose standard input is the
stream. For a StreamSink the consumer is `cat`, its standard output is the transport's stream, and the controller feeds
`StreamSink.write`. For a DirectSink the consumer is the sink's own uploader; the controller sees no bytes, hands out
presigned URLs from `DirectSink.sign_urls` and learns the parts from `DirectSink.collect`.

In both cases the node's last word is one line on standard error, `memir-receipt {...}` (`NodeReceipt`): the tool's exit
code, the consumer's, and the stream's SHA-256 if the node could compute it. A stream without that line was cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from memir.evidence.plan import Check, Step, Trace


@dataclass(frozen=True, slots=True)
class Result:
    """What a script on the node gave back.

    code: exit status; None when the connection was lost before one arrived (never read this as success).
    out, err: bounded bytes; truncated says that more was dropped.
    """

    code: int | None
    out: bytes = b""
    err: bytes = b""
    truncated: bool = False

    @property
    def text(self) -> str:
        """Standard output as text, undecodable bytes as backslash escapes."""
        return self.out.decode("utf-8", "backslashreplace")

    @property
    def error(self) -> str:
        """Standard error as text, undecodable bytes as backslash escapes."""
        return self.err.decode("utf-8", "backslashreplace")


class Script(str):
    """A shell script for the node, and the words by which node/helper.c does the same without a shell.

    helper: () where only a shell can do it.
    """

    helper: tuple[str, ...]

    def __new__(cls, text: str, *helper: str | int) -> Script:
        """`text` with the helper's verb and arguments beside it."""
        made = super().__new__(cls, text)
        made.helper = tuple(map(str, helper))
        return made


class Stream(Protocol):
    """Bytes of a running script's standard output."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; b"" only at the end. Raises ConnectError when the connection is lost."""
        ...

    def wait(self, timeout: float) -> Result:
        """Exit status and bounded standard error, after the end of the stream (`out` is empty)."""
        ...

    def close(self) -> None:
        """Stop reading; the script on the node gets SIGPIPE or SIGHUP."""
        ...


class Transport(Protocol):
    """Runs `/bin/sh` scripts as root on one node and moves bytes to it.

    Scripts may show up in the node's logs (the SSM agent writes them): nothing secret goes into one. Secrets
    and bulk go into `data`, which reaches the script's standard input by a way that no log or process list
    shows.
    """

    kind: str
    """ssh, local, pod or ssm."""
    streams: bool
    """Whether open_stream works; without it only a DirectSink can be used."""

    def connect(self) -> None:
        """Reach the node. Raises ConnectError or AccessError. Changes nothing on the node."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Who and what was reached: host, user, host key, instance id, node name, ... (no secrets)."""
        ...

    def check(self) -> Sequence[Check]:
        """Checks of this transport alone (ping status, IAM actions by name, RBAC).

        Changes nothing.
        """
        ...

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        """Run a script to its end. At most `limit` bytes of each output are kept (a transport may keep
        fewer).

        Raises ConnectError when the connection is lost and on timeout. A non-zero exit is a Result, not an
        error.
        """
        ...

    def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
        """Start a script and read its standard output as it comes. NodeError if `streams` is False."""
        ...

    def put(self, path: str, source: bytes | Path, *, mode: int = 0o600) -> None:
        """Write a file on the node (the caller passes a path on tmpfs only).

        Its hash is checked by the caller.
        """
        ...

    def steps(self) -> Sequence[Step]:
        """What connecting, and closing, does: for the plan."""
        ...

    def traces(self) -> Sequence[Trace]:
        """What using this transport leaves (journal lines, audit records, CloudTrail events, GuardDuty
        findings).
        """
        ...

    def reconnect(self) -> None:
        """Connect again after a loss, to clean up. Raises ConnectError."""
        ...

    def close(self) -> None:
        """Let go.

        Also removes what the transport itself made (the pod, the SSM parameter). Never raises twice.
        """
        ...


def bootstrap(script: str) -> tuple[str, bytes]:
    """A short shell command and the bytes to send first on its standard input, which together run `script`.

    The script travels on standard input, so that sudo's log, the process list and audit records show only a
    fixed line; what is sent after the script is the script's own standard input. `head -c` reads no byte too
    many.
    """
    body = script.encode()
    return f'S=$(head -c {len(body)}) && eval "$S"', body
