# SPDX-License-Identifier: Apache-2.0
"""A script through a terminal, byte for byte: lines of base64 with a number and a checksum, no echo (node/bridge.py).

ECS Exec gives every command a terminal, which would echo what is typed, change ends of lines, and mix both outputs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
import zlib
from importlib.resources import files

from memir.acquire.transports.base import Result, bootstrap
from memir.aws.session_channel import Channel
from memir.collect.node.bridge import PIECE, lines_of
from memir.errors import ConnectError, NodeError

READY = b"memir-ready"
BOOT = (
    "import sys,tty,zlib,base64;tty.setraw(0);print('memir-ready',flush=True);"
    "exec(zlib.decompress(base64.b64decode(sys.stdin.buffer.readline())).decode())"
)
LINE = re.compile(rb"M (\d{1,12}) ([oex]) ([0-9a-f]{8}) ([A-Za-z0-9+/=]{0,50000})")
MAX_LINE = 1 << 16
KEEP = 1 << 16
NOISE = 2000


def command(python: str = "python3") -> str:
    """What ECS Exec is asked to run: fixed words, the same to a shell and to a splitter of words."""
    return f'{python} -c "{BOOT}"'


class TerminalStream:
    """One script over one session."""

    def __init__(self, channel: Channel, script: str, data: bytes, where: str) -> None:
        self._channel, self._where = channel, where
        self._held, self._out, self._error, self._noise = bytearray(), bytearray(), bytearray(), bytearray()
        self._number, self._size, self._digest = 0, 0, hashlib.sha256()
        self._code: int | None = None
        self._up = self._ended = self._dropped = self._closed = False
        self._started(time.monotonic() + 60)
        text = (files("memir.collect") / "node" / "bridge.py").read_bytes()
        words, body = bootstrap(script)
        self._channel.send(base64.b64encode(zlib.compress(text, 9)) + b"\n")
        self._channel.send(b"".join(lines_of(words.encode() + b"\n" + body + data)))

    def read(self, size: int, timeout: float | None = None) -> bytes:
        """At most `size` bytes of standard output, b"" at the end. Raises ConnectError."""
        while not self._out and not self._ended:
            self._frame(timeout)
        out = bytes(self._out[:size])
        del self._out[:size]
        return out

    def wait(self, timeout: float) -> Result:
        """Exit status and standard error; what is still on standard output is dropped."""
        end = time.monotonic() + timeout
        while not self._ended:
            self._frame(max(0.0, end - time.monotonic()))
            self._out.clear()
        return Result(self._code, b"", bytes(self._error), self._dropped)

    def close(self) -> None:
        """End the session; its command ends with it."""
        if not self._closed:
            self._closed = True
            self._channel.close()

    def _started(self, end: float) -> None:
        """To the line by which the bridge says that the echo is off. What comes before it is kept for the message."""
        while True:
            row = self._line(max(0.0, end - time.monotonic()))
            if row.strip() == READY:
                self._up = True
                return
            self._noise += row[:NOISE] + b" "
            del self._noise[NOISE:]

    def _line(self, timeout: float | None) -> bytes:
        while (end := self._held.find(b"\n")) < 0:
            if len(self._held) > MAX_LINE:
                raise ConnectError(f"{self._where}: the terminal sent a line of more than {MAX_LINE:,} bytes")
            more = self._channel.read(MAX_LINE, timeout)
            if not more:
                raise self._over()
            self._held += more
        row = bytes(self._held[:end])
        del self._held[: end + 1]
        return row

    def _over(self) -> ConnectError | NodeError:
        heard = " ".join((bytes(self._noise) + b" " + bytes(self._held[:NOISE])).decode("utf-8", "replace").split())
        words = heard[:400] or self._channel.last or "nothing was said"
        if not self._up:
            return NodeError(f"{self._where}: no Python 3 ran in the container, which this needs: {words}")
        return ConnectError(f"{self._where}: the session ended before the script did: {words}")

    def _frame(self, timeout: float | None) -> None:
        row = self._line(timeout).rstrip(b"\r")
        match = LINE.fullmatch(row)
        if match is None and not self._number and (b"Error" in row or not row.startswith(b"M ")):
            self._noise += row[:NOISE] + b" "  # a traceback of the bridge; the end says it
            del self._noise[NOISE:]
            return
        if match is None or int(match[1]) != self._number:
            raise ConnectError(f"{self._where}: line {self._number} of the session is not as it was sent: {row[:60]!r}")
        if int(match[3], 16) != zlib.crc32(match[1] + b" " + match[2] + match[4]):
            raise ConnectError(f"{self._where}: line {self._number} of the session does not fit its checksum")
        self._number += 1
        self._take(match[2], self._inflate(match[4]))

    def _inflate(self, packed: bytes) -> bytes:
        opened = zlib.decompressobj()
        try:
            data = opened.decompress(base64.b64decode(packed, validate=True), PIECE + 1)
        except (ValueError, zlib.error) as error:
            raise ConnectError(f"{self._where}: line {self._number - 1} of the session is not deflated") from error
        if len(data) > PIECE or not opened.eof:
            raise ConnectError(f"{self._where}: line {self._number - 1} of the session is longer than it may be")
        return data

    def _take(self, kind: bytes, data: bytes) -> None:
        if kind == b"o":
            self._out += data
            self._size += len(data)
            self._digest.update(data)
        elif kind == b"e":
            self._error += data
            self._dropped = self._dropped or len(self._error) > KEEP
            del self._error[: max(0, len(self._error) - KEEP)]
        else:
            self._end(data)

    def _end(self, data: bytes) -> None:
        try:
            end = json.loads(data)
            code, size, digest = end["code"], end["size"], end["sha256"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ConnectError(f"{self._where}: the session's end is not readable: {data[:60]!r}") from error
        if (size, digest) != (self._size, self._digest.hexdigest()):
            raise ConnectError(f"{self._where}: {self._size:,} bytes came, the container sent {size} of another hash")
        self._code, self._ended = code if isinstance(code, int) else None, True


def run(stream: TerminalStream, timeout: float, limit: int) -> Result:
    """To the end of a script, with at most `limit` bytes of output kept. Raises ConnectError."""
    out, dropped, end = bytearray(), False, time.monotonic() + timeout
    try:
        while chunk := stream.read(PIECE, max(0.0, end - time.monotonic())):
            dropped = dropped or len(chunk) > limit - len(out)
            out += chunk[: max(0, limit - len(out))]
        done = stream.wait(30)
    finally:
        stream.close()
    return Result(done.code, bytes(out), done.err[-limit:], dropped or done.truncated)
