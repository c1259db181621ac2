# SPDX-License-Identifier: Apache-2.0
"""Runs in the container, at the other end of a terminal: a shell command with its own pipes, its bytes as lines.

Each line: `M NUMBER KIND CRC BASE64`, of deflated bytes; kinds: i input, o output, e error, x the end (exit code, size
and SHA-256 of all output). Python 3.6, as it is sent there as text (memir/collect/ecs/terminal.py).
"""

import base64
import hashlib
import json
import os
import select
import subprocess
import sys
import threading
import zlib
from typing import Any, List

PIECE = 24 << 10


def line(number: int, kind: str, data: bytes) -> bytes:
    """One line of the terminal."""
    packed = base64.b64encode(zlib.compress(data, 1)).decode()
    head = "%d %s" % (number, kind)
    return ("M %s %08x %s\n" % (head, zlib.crc32((head + packed).encode()), packed)).encode()


def lines_of(data: bytes) -> List[bytes]:
    """What is typed: the lines of some bytes, and the end."""
    pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
    return [line(number, "i", piece) for number, piece in enumerate(pieces)] + [line(len(pieces), "x", b"")]


def receive(source: Any) -> bytes:
    """What was typed. ValueError where a line is not as it was sent."""
    data, number = b"", 0
    while True:
        row = source.readline().split()
        if len(row) != 5 or row[1] != b"%d" % number:
            raise ValueError("line %d of the input is not as it was sent" % number)
        if row[3] != b"%08x" % zlib.crc32(row[1] + b" " + row[2] + row[4]):
            raise ValueError("line %d of the input does not fit its checksum" % number)
        if row[2] == b"x":
            return data
        data += zlib.decompress(base64.b64decode(row[4]))
        number += 1


def serve(source: Any, out: Any) -> None:
    """Run one command: what comes is its text, an end of line, and its standard input."""
    command, _, data = receive(source).partition(b"\n")
    process = subprocess.Popen(
        ["/bin/sh", "-c", command.decode()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    threading.Thread(target=_feed, args=(process.stdin, data), daemon=True).start()
    assert process.stdout is not None and process.stderr is not None
    kinds = {process.stdout.fileno(): "o", process.stderr.fileno(): "e"}
    digest, size, number = hashlib.sha256(), 0, 0
    while kinds:
        for descriptor in select.select(list(kinds), [], [])[0]:
            piece = os.read(descriptor, PIECE)
            if not piece:
                del kinds[descriptor]
                continue
            if kinds[descriptor] == "o":
                digest.update(piece)
                size += len(piece)
            out.write(line(number, kinds[descriptor], piece))
            out.flush()
            number += 1
    end = {"code": process.wait(), "size": size, "sha256": digest.hexdigest()}
    out.write(line(number, "x", json.dumps(end).encode()))
    out.flush()


def _feed(pipe: Any, data: bytes) -> None:
    try:
        pipe.write(data)
        pipe.close()
    except OSError:
        return  # it ended before it had read everything


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
    sys.stdin.buffer.readline()  # what is still on its way is not lost with the terminal: it ends with the session
