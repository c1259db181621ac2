# SPDX-License-Identifier: Apache-2.0
"""What is taken from the node beside its RAM: into EVIDENCE/context, each file hashed into the manifest."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memir.acquire.facts import NodeRun
from memir.acquire.node_files import node_script
from memir.acquire.sinks.base import DirectSink, Sink
from memir.acquire.transports.base import Script, Stream, Transport
from memir.errors import ConnectError, NodeError, StorageError

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,100}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,100})?")
MAX_LINE = 64 << 20  # base64 of the largest that before.sh sends, 32 MiB of one file, and room
MAX_TOTAL = 512 << 20  # a node's context is a few MiB; a hostile one must not fill the controller's disk


@dataclass(frozen=True, slots=True)
class Taken:
    """One file that was taken: its name below context/, its size in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


def script(phase: Literal["before", "after"]) -> Script:
    """The node's script for a phase: its state, and after the capture also what does not change."""
    if phase == "before":
        text = node_script("before") + "\nstate before\nfirst /proc/iomem before/iomem\n"
    else:
        text = node_script("before", "after") + "\nstate after\n"
    return Script(text, "context", phase)


def read_lines(chunks: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    """The (name, content) pairs of a context script's output.

    The node may be hostile: a name that could leave the folder, a line that is too long or not whole, and
    content that is not base64 are passed over. Raises NodeError when the node sends more than MAX_TOTAL.
    """
    held, total, skipping = bytearray(), 0, False
    for chunk in chunks:
        total += len(chunk)
        if total > MAX_TOTAL:
            raise NodeError(f"the node's context is more than {MAX_TOTAL:,} bytes: stopped")
        lines = chunk.split(b"\n")
        for line in lines[:-1]:
            held += line
            if not skipping and (pair := _pair(bytes(held))):
                yield pair
            held.clear()
            skipping = False
        held += lines[-1]
        if len(held) > MAX_LINE:
            held.clear()
            skipping = True


def _pair(line: bytes) -> tuple[str, bytes] | None:
    name, _, packed = line.partition(b" ")
    try:
        word = name.decode("ascii")
        content = base64.b64decode(packed.strip(), validate=True)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (word, content) if NAME.fullmatch(word) and content else None


def collect(
    transport: Transport, run: NodeRun, sink: Sink, phase: Literal["before", "after"], folder: Path
) -> list[Taken]:
    """Run a phase's script and write every file below `folder`.

    Returns what was written. Raises ConnectError or NodeError when the node does not
    give them, StorageError when they cannot be written.
    """
    kept = []
    for name, content in _fetch(transport, run, sink, phase):
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError:
            continue
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}") from error
        kept.append(Taken(name, len(content), hashlib.sha256(content).hexdigest()))
    return kept


def _fetch(
    transport: Transport, run: NodeRun, sink: Sink, phase: Literal["before", "after"]
) -> Iterator[tuple[str, bytes]]:
    if transport.streams:
        stream = transport.open_stream(script(phase))
        try:
            yield from read_lines(_chunks(stream))
            result = stream.wait(30)
        finally:
            stream.close()
        if result.code is None:
            raise ConnectError("the connection was lost while the node's context was read")
        return
    if not isinstance(sink, DirectSink):
        raise NodeError(f"the {transport.kind} transport cannot carry the context to {sink.where}")
    path = run.path(f"context-{phase}")
    result = transport.run(f"umask 077\n{{\n{script(phase)}\n}} > {shlex.quote(path)}", timeout=300)
    if result.code is None:
        raise ConnectError("the node did not finish the context script")
    data = sink.send(transport, run, path, f"context-{phase}.txt")
    transport.run(f"rm -f {shlex.quote(path)}")
    yield from read_lines(iter([data]))


def _chunks(stream: Stream) -> Iterator[bytes]:
    while chunk := stream.read(1 << 18):
        yield chunk
