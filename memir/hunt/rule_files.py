# SPDX-License-Identifier: Apache-2.0
"""Rule files as they lie on disk: found in folders, read once with all that they include, whatever their encoding.

What is compiled later is this text and nothing else, so that the rules, their digest and what is sent to other machines
are the same.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from memir.errors import RulesError
from memir.hunt.rule_text import SourceText, read_source, tokens

SUFFIXES = (".yar", ".yara", ".yarc")
COMPILED = b"YARA"
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_STRAY = re.compile("[\udc80-\udcff]")
MAX_INCLUDES = 10_000  # ends a folder that was given by mistake
MAX_FILE = 256 << 20
"""Bytes of a rule file: collections of a hundred thousand rules are smaller, and a device has no end."""


@dataclass(frozen=True)
class RuleFile:
    """A rule file. namespace: its path below the folder that was given. text: its source, None if it is compiled."""

    path: Path
    namespace: str
    text: str | None
    source: SourceText = field(default_factory=lambda: SourceText((), (), ()))


@dataclass(frozen=True)
class Flat:
    """A rule file with the text of what it includes in the place of each include. lines: file and line (from 1) of each
    line of the text. faults: `file:line: reason` of includes that are not there."""

    file: RuleFile
    text: str
    lines: tuple[tuple[Path, int], ...]
    source: SourceText
    faults: tuple[str, ...] = ()

    def place(self, line: int) -> str:
        """`file:line` of a line (from 1) of the text."""
        path, number = self.lines[min(max(line, 1), len(self.lines)) - 1]
        return f"{path}:{number}"


def read_rule_files(paths: Sequence[Path]) -> list[RuleFile | Flat]:
    """All rules of these files and folders: Flat for source text, RuleFile for compiled rules.

    RulesError if there is none, or one cannot be read.
    """
    every: dict[Path, RuleFile] = {}
    for path in paths:
        for inner in _inside(path):
            if inner.resolve() not in every:
                name = inner.relative_to(path).as_posix() if path.is_dir() else inner.name
                every[inner.resolve()] = read_file(inner, name)
    known = dict(every)
    flat = {path: _flatten(file, known) for path, file in every.items() if file.text is not None}
    # a folder with an index file that includes the others would have every rule twice
    holds = {path: {origin.resolve() for origin, _ in flattened.lines} for path, flattened in flat.items()}
    included = {inner for path, inside in holds.items() for inner in inside if inner != path}
    kept: list[Path] = []
    covered: set[Path] = set()
    for path in sorted(every, key=lambda path: path in included):  # of files that include each other, one is left
        if path not in covered:
            kept.append(path)
            covered |= holds.get(path, set())
    kept.sort(key=list(every).index)
    names = _unique_names([every[path] for path in kept])
    return [replace(flat[path], file=file) if path in flat else file for path, file in zip(kept, names, strict=True)]


def _flatten(file: RuleFile, known: dict[Path, RuleFile]) -> Flat:
    """known: files read before, by resolved path; what is included is added. Each file is taken once."""
    pieces: list[str] = []
    origin: list[tuple[Path, int]] = [(file.path, 1)]
    faults: list[str] = []
    taken: set[Path] = set()

    def add(text: str, path: Path, line: int) -> None:
        pieces.append(text)
        origin[-1] = (path, line)
        origin.extend((path, line + step) for step in range(1, text.count("\n") + 1))

    def turn(path: Path, line: int) -> None:
        pieces.append("\n")
        origin.append((path, line))

    def walk(current: RuleFile) -> None:
        taken.add(current.path.resolve())
        text, offset, line = current.text or "", 0, 1
        stream = list(tokens(text))
        for token, following in pairwise(stream):
            if token.text != "include" or token.kind != "word" or following.kind != "string":
                continue
            add(text[offset : token.offset], current.path, line)
            line += text.count("\n", offset, token.offset)
            offset = following.offset + len(following.text)
            path = (current.path.parent / following.text[1:-1]).resolve()
            if path in taken:
                continue
            if path not in known:
                if len(taken) >= MAX_INCLUDES or not path.is_file():
                    faults.append(f"{current.path}:{line}: includes {following.text}, which is not there")
                    continue
                known[path] = read_file(path, path.name)
            if known[path].text is None:
                faults.append(f"{current.path}:{line}: includes {following.text}, which are compiled rules")
                continue
            turn(current.path, line)  # a line is of one file
            walk(known[path])
            turn(current.path, line)
        add(text[offset:], current.path, line)

    walk(file)
    whole = "".join(pieces)
    return Flat(file, whole, tuple(origin), read_source(whole), tuple(faults))


def read_file(path: Path, namespace: str) -> RuleFile:
    """Read a file. A byte order mark is left out; bytes that are not UTF-8 become escapes, which mean the same."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as error:
        raise RulesError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > MAX_FILE:
        raise RulesError(f"{path}: more than {MAX_FILE >> 20} MiB: no rule file is as long; is it the image?")
    if raw.startswith(COMPILED):
        return RuleFile(path, namespace, None)
    encoding = "utf-8"
    for mark, name in _BOMS:
        if raw.startswith(mark):
            raw, encoding = raw[len(mark) :], name
            break
    if encoding == "utf-8" and b"\0" in raw:
        raise RulesError(
            f"{path}: not YARA rules: byte {raw.index(0)} is zero, which no rule's text holds "
            "(compiled rules begin with YARA)"
        )
    text = raw.decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
    text = _STRAY.sub(lambda stray: f"\\x{ord(stray.group()) - 0xDC00:02x}", text)
    return RuleFile(path, namespace, text, read_source(text))


def _inside(path: Path) -> list[Path]:
    if path.is_dir():
        inside = sorted(inner for inner in path.rglob("*") if inner.suffix.lower() in SUFFIXES and inner.is_file())
        if not inside:
            raise RulesError(f"{path}: no rule files ({', '.join('*' + end for end in SUFFIXES)}) in this folder")
        return inside
    if not path.exists():
        raise RulesError(f"{path}: no such file or folder")
    return [path]


def _unique_names(files: list[RuleFile]) -> list[RuleFile]:
    """Namespaces of files of the same name in several folders are told apart by their whole path."""
    count: dict[str, int] = {}
    for file in files:
        count[file.namespace] = count.get(file.namespace, 0) + 1
    return [file if count[file.namespace] == 1 else replace(file, namespace=str(file.path)) for file in files]
