# SPDX-License-Identifier: Apache-2.0
"""The tars of layers held against the lists of their files, which are made again while the tars are hashed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from memir.errors import CustodyError, RemoteError
from memir.evidence.findings import Findings
from memir.evidence.folder import open_file
from memir.evidence.layer_list import LayerList, kind_of, list_of
from memir.evidence.parts import Body, PartReader
from memir.evidence.records import File

STEP = 1 << 20
MAX_LINE = 16 << 20
MOST = 20
"""Differences of one layer that are named; the rest is counted."""


@dataclass
class Compared:
    """How one tar and its list go together. different: in words, `more` beyond them; lines: of the tar's own list.

    cut: the list may end before the tar does.
    """

    lines: int = 0
    more: int = 0
    different: list[str] = field(default_factory=list)
    cut: bool = False

    def say(self, what: str) -> None:
        """Note a difference."""
        if len(self.different) < MOST:
            self.different.append(what)
        else:
            self.more += 1


class Layers:
    """What verify knows of the layers of a collection. where: s3://... of its files, "" if they are in the folder.

    cut: files that were being written when the controller was killed: such a list may end before its tar.
    """

    def __init__(
        self, folder: Path, files: Sequence[File], where: str, reader: PartReader | None, cut: Set[str] = frozenset()
    ) -> None:
        self._folder, self._where, self._reader, self._cut = folder, where, reader, cut
        self._files = {file.name: file for file in files}
        self._compared: dict[str, Compared] = {}

    @contextmanager
    def passing(self, name: str) -> Iterator[Callable[[bytes], object]]:
        """What the bytes of a file are shown to while it is hashed."""
        kind, listed = kind_of(name), list_of(name)
        if kind is None or listed not in self._files:
            yield lambda _: None
            return
        done = self._compared[name] = Compared(cut=listed in self._cut)
        with ExitStack() as stack:
            try:
                body = self._open(listed, stack)
            except (OSError, CustodyError, RemoteError) as error:
                done.say(f"its list cannot be read: {error}")
                yield lambda _: None
                return
            lines = _lines(body, done)
            made = LayerList(kind, lambda line: _compare(done, line, next(lines, b"")))
            yield made.feed
            made.finish()
            if rest := next(lines, b""):
                done.say(f"lacks {_path(rest)}, which its list has" + (f": {made.problem}" if made.problem else ""))

    def judge(self, findings: Findings) -> None:
        """Say what does not go together."""
        for name, done in self._compared.items():
            for what in done.different:
                findings.wrong(name, what)
            if done.more:
                findings.wrong(name, f"{done.more:,} more differences from its list")
        if self._compared:
            count = sum(max(0, done.lines - 1) for done in self._compared.values())
            findings.checked.append(f"{count:,} files in {len(self._compared)} layers, against their lists")

    def _open(self, name: str, stack: ExitStack) -> Body:
        try:
            return stack.enter_context(os.fdopen(open_file(self._folder, name), "rb"))
        except FileNotFoundError:
            stored = self._files[name].stored
            if self._reader is None or stored.get("where") != f"{self._where}/{name}":
                raise
            return stack.enter_context(self._reader.open(f"{self._where}/{name}", str(stored.get("VersionId") or "")))


def _compare(done: Compared, made: bytes, recorded: bytes) -> None:
    done.lines += 1
    if made == recorded or (done.cut and made.startswith(recorded)):
        return
    if not recorded:
        done.say(f"has {_path(made)}, which its list has not")
        return
    path, other = _path(made), _path(recorded)
    if path != other:
        done.say(f"has {path} where its list has {other}")
        return
    new, old = json.loads(made), json.loads(recorded)
    names = [name for name in {**new, **old} if new.get(name) != old.get(name)]
    done.say(f"{path} has " + ", ".join(f"{name} {new.get(name)}, its list says {old.get(name)}" for name in names))


def _path(line: bytes) -> str:
    """Which file a line is of."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        return f"a line that is none ({line[:60]!r})"
    return ascii(row.get("path", "its first line"))[1:-1]


def _lines(body: Body, done: Compared) -> Iterator[bytes]:
    """Lines with their ends; one that is longer than any of memir's is given in pieces."""
    held = b""
    try:
        while data := body.read(STEP):
            held += data
            *whole, held = held.split(b"\n")
            for line in whole:
                yield line + b"\n"
            if len(held) > MAX_LINE:
                yield held
                held = b""
    except (OSError, RemoteError) as error:
        done.say(f"its list cannot be read: {error}")
    if held:
        yield held
