# SPDX-License-Identifier: Apache-2.0
"""The node's stream of files (node/frames.py says how it looks) into the evidence folder.

The node may be hostile: names that could leave the folder or are not of a collection, lengths without end and lines
that are no JSON end the stream; what came before is kept. Each file's hash is compared with the node's own.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from memir.collect.folder import File, Folder
from memir.errors import ConnectError, NodeError
from memir.evidence.collected import CollectedGap, CollectedLayer
from memir.evidence.layer_list import SUFFIX, LayerList, kind_of, list_of

MAGIC = b"memir-collect 1\n"
MAX_LINE = 16 << 20
MAX_PIECE = 1 << 20
MAX_FILES = 15_000
MAX_GAPS = 20_000
MAX_LAYERS = 1_000
CHUNK = 1 << 20
NAME = re.compile(r"(node|clear)(/[A-Za-z0-9_][A-Za-z0-9._+@:=,~-]{0,200}){1,6}")


class Bytes(Protocol):
    """What is read from: a transport's Stream."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end."""
        ...


@dataclass
class Received:
    """What came. sent: files by the node's last line, None if it never came. facts: by file, and the node's own.

    layers: tars of which a list was made while they came.
    """

    files: int = 0
    sent: int | None = None
    gaps: list[CollectedGap] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    by_file: dict[str, dict[str, Any]] = field(default_factory=dict)
    layers: list[CollectedLayer] = field(default_factory=list)


def receive(stream: Bytes, folder: Folder, received: Received, report: Callable[[int, str], None]) -> None:
    """Store every file, filling `received` as they come. report: called with bytes so far and the file's name.

    Raises ConnectError when the stream ends before its last line, NodeError when it is none of ours, StorageError.
    """
    reader = _Reader(stream)
    first = reader.line(len(MAGIC))
    if first != MAGIC:
        raise NodeError(f"the node sent no collection but {first[:60]!r}")
    while True:
        head = _object(reader.line(MAX_LINE))
        if "end" in head:
            _end(head, received)
            return
        name = head.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name) or name.endswith(SUFFIX):
            raise NodeError(f"the node sent a file of the name {str(name)[:100]!r}, which no collector of memir's does")
        if received.files >= MAX_FILES:
            raise NodeError(f"the node sent more than {MAX_FILES:,} files: stopped, what arrived is kept")
        with _listed(folder, name, received) as passing:
            _file(reader, folder.open(name), received, passing, lambda: report(folder.size, name))  # noqa: B023


@contextmanager
def _listed(folder: Folder, name: str, received: Received) -> Iterator[Callable[[bytes], object]]:
    """What a file's bytes are shown to while they pass: the list of its content, where it is a layer's tar."""
    kind = kind_of(name)
    if kind is None:
        yield lambda _: None
        return
    if len(received.layers) >= MAX_LAYERS:
        raise NodeError(f"the node sent more than {MAX_LAYERS:,} layers: stopped, what arrived is kept")
    file = folder.open(list_of(name))
    made = LayerList(kind, file.write)
    try:
        yield made.feed
    finally:
        made.finish()
        digest = file.close()
        container = name.split("/")[2]
        received.layers.append(CollectedLayer(container, kind, name, file.name, digest, made.problem, **made.counts))
        if made.problem:
            why = f"its files are listed to here: {made.problem}"
            received.gaps.append(CollectedGap("layer", name, why[:300], missing=True))


def _file(
    reader: _Reader, file: File, received: Received, passing: Callable[[bytes], object], report: Callable[[], None]
) -> None:
    whole = False
    try:
        while size := struct.unpack(">I", reader.exactly(4))[0]:
            if size > MAX_PIECE:
                raise NodeError(f"{file.name}: a piece of {size:,} bytes, {MAX_PIECE:,} are possible")
            piece = reader.exactly(size)
            file.write(piece)
            passing(piece)
            report()
        trailer = _object(reader.line(MAX_LINE))
        whole = True
    finally:
        digest = file.close()
        received.files += 1
        if not whole:
            why = "the stream stopped in it: this file is not whole"
            received.gaps.append(CollectedGap("file", file.name, why, missing=True))
    if (trailer.get("size"), trailer.get("sha256")) != (file.size, digest):
        why = f"the node sent {trailer.get('size')} bytes of SHA-256 {trailer.get('sha256')}, stored are others"
        received.gaps.append(CollectedGap("file", file.name, why[:300], missing=True))
    if trailer.get("error"):
        received.gaps.append(CollectedGap("file", file.name, str(trailer["error"])[:300], missing=False))
    facts = trailer.get("facts")
    if isinstance(facts, dict) and facts:
        received.by_file[file.name] = facts


def _end(line: dict[str, Any], received: Received) -> None:
    sent, gaps, facts = line.get("end"), line.get("gaps"), line.get("facts")
    received.sent = sent if isinstance(sent, int) and not isinstance(sent, bool) else None
    for gap in gaps[:MAX_GAPS] if isinstance(gaps, list) else ():
        if isinstance(gap, dict):
            count = gap.get("count")
            received.gaps.append(
                CollectedGap(
                    _text(gap.get("kind"), 60), _text(gap.get("where"), 500), _text(gap.get("why"), 300),
                    count if isinstance(count, int) and 0 < count < 1 << 40 else 1, gap.get("missing") is True,
                )
            )  # fmt: skip
    received.facts = facts if isinstance(facts, dict) else {}


def _text(value: object, size: int) -> str:
    return str(value if value is not None else "").encode("utf-8", "backslashreplace").decode()[:size]


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NodeError(f"the node's stream has a line that is no JSON: {line[:60]!r}") from error
    if not isinstance(value, dict):
        raise NodeError(f"the node's stream has a line that is no object: {line[:60]!r}")
    return value


class _Reader:
    """Lines and counted bytes of a stream."""

    def __init__(self, stream: Bytes) -> None:
        self._stream = stream
        self._held = bytearray()

    def line(self, limit: int) -> bytes:
        """To the next end of a line, with it. NodeError if that is further than `limit`."""
        searched = 0
        while (end := self._held.find(b"\n", searched)) < 0:
            searched = len(self._held)
            if searched >= limit:
                raise NodeError(f"the node sent a line of more than {limit:,} bytes: {bytes(self._held[:40])!r}")
            self._more()
        return self._take(end + 1)

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        while len(self._held) < size:
            self._more()
        return self._take(size)

    def _more(self) -> None:
        data = self._stream.read(CHUNK)
        if not data:
            raise ConnectError("the stream ended before the collector did")
        self._held += data

    def _take(self, size: int) -> bytes:
        data = bytes(self._held[:size])
        del self._held[:size]
        return data
