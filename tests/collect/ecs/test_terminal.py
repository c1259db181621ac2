# SPDX-License-Identifier: Apache-2.0
"""What comes through a terminal: whole, or a clear line of what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import shlex
from typing import Any, cast

import pytest

from memir.aws.session_channel import Channel
from memir.collect.ecs.terminal import BOOT, READY, TerminalStream, command, run
from memir.collect.node.bridge import line
from memir.errors import ConnectError, NodeError


class Said:
    """A channel on which this was said, and then the session was closed."""

    last = ""

    def __init__(self, *rows: bytes) -> None:
        self.rows, self.typed = b"".join(rows), b""

    def read(self, size: int, timeout: float | None = None) -> bytes:
        out, self.rows = self.rows[: min(size, 700)], self.rows[min(size, 700) :]
        return out

    def send(self, data: bytes) -> None:
        self.typed += data

    def close(self) -> None:
        self.rows = b""


def stream(*rows: bytes) -> TerminalStream:
    return TerminalStream(cast(Channel, Said(*rows)), "true", b"", "here")


def end(data: bytes, number: int, **more: Any) -> bytes:
    said = {"code": 0, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **more}
    return line(number, "x", json.dumps(said).encode())


UP = READY + b"\r\n"


def test_the_command_is_the_same_to_a_shell_and_a_splitter() -> None:
    assert shlex.split(command()) == ["python3", "-c", BOOT]
    assert not set(BOOT) & set('"$`\\')


def test_whole() -> None:
    rows = [line(0, "o", b"data"), line(1, "e", b"wrong"), line(2, "o", b"\n"), end(b"data\n", 3, code=2)]
    done = run(stream(b"Welcome\r\n", UP, *(row.replace(b"\n", b"\r\n") for row in rows)), 5, 100)
    assert (done.code, done.out, done.err, done.truncated) == (2, b"data\n", b"wrong", False)
    cut = run(stream(UP, *rows), 5, 3)
    assert (cut.out, cut.truncated) == (b"dat", True)


def test_what_is_not_whole() -> None:
    first = line(0, "o", b"data")
    for rows, words in (
        ([first], "ended before the script did"),
        ([first, line(2, "o", b"")], "line 1 of the session is not as it was"),
        ([first[:-3] + b"A=\n"], "does not fit its checksum"), ([first, end(b"other", 1)], "of another hash"),
        ([first, line(1, "x", b"{}")], "the session's end is not readable"),
        ([line(0, "o", bytes(30_000))], "longer than it may be"), ([b"M" * 70_000], "a line of more than"),
        ([b"Traceback\n", b"Error: no sh\n"], "ended before the script did: Traceback Error: no sh"),
    ):  # fmt: skip
        with pytest.raises(ConnectError, match=words):
            run(stream(UP, *rows), 5, 100)


def test_no_python() -> None:
    with pytest.raises(NodeError, match=r'here: no Python 3 ran in the container, .*: exec: "python3": not found'):
        stream(b'exec: "python3": not found\r\n')
    with pytest.raises(NodeError, match="nothing was said"):
        stream()
