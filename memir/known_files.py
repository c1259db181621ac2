# SPDX-License-Identifier: Apache-2.0
"""Known files (a sample, a release's binary) in a node's page cache: a part is enough, as pages are compared.

for match in known_files(node, ["sample.elf"]): print(match.path, match.pod_name, match.equal, match.differing)
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memir.errors import UsageError
from memir.ram_node import of_ram

if TYPE_CHECKING:
    from memir.kernel.filemap import Content
    from memir.node import Node

_PAGE = 4096
_MOST_MANIFEST = 256 << 20


@dataclass(frozen=True)
class Match:
    """A file in RAM that has pages of a known one.

    verdict: "whole": every page is in RAM and is the known file's; "part": those in RAM are, others are not there or
    not in the known file;
    "changed": most are, others at its places are not; "alike": fewer than half are, as of another build. equal: pages
    at their own offset, blank ones left out; moved: at another one; differing: pages within the known file's size that
    are neither; here: pages in RAM; pages: of the whole file, in RAM or not. address: of the inode, as in the table
    inodes.
    """

    known: str
    verdict: str
    path: str | None
    deleted: bool
    size: int
    pages: int
    here: int
    equal: int
    moved: int
    differing: int
    inode: int
    address: int
    namespace: str | None
    pod_name: str | None
    pod_uid: str | None
    container_id: str | None
    container_name: str | None
    shared_by: list[str] | None

    def document(self) -> dict[str, Any]:
        """As --json prints it."""
        return asdict(self)


@dataclass(frozen=True)
class _Known:
    """A known file: its name, the hash of each of its pages in order, where each that is not blank lies (pages), and
    the pages that it lacks itself."""

    name: str
    size: int
    pages: list[bytes]
    places: dict[bytes, set[int]]
    holes: set[int]


def known_files(node: Node, paths: Iterable[str | Path]) -> list[Match]:
    """Where pages of these files lie in the page cache of a node, for each known file the most equal ones first.

    A file that `memir extract` wrote is compared without its holes, which its manifest lists. UsageError for a file
    that cannot be read, or that has no page that could be told from others'.
    """
    from memir.kernel.filemap import contents
    from memir.tables.frame import Frame
    from memir.tables.table import OWNER_COLUMNS

    source = of_ram(node).source
    known = [_read(Path(path)) for path in paths]
    every = source.inodes
    rows = every.inodes
    chosen = np.flatnonzero(every.cached_files)
    mapping = source.kernel.embedded(rows.inode[chosen], "inode", "i_data")
    hits: list[tuple[int, int, dict[str, Any]]] = []
    for row, content in zip(chosen.tolist(), contents(source.kernel, mapping, rows.size[chosen]), strict=True):
        for number, counts in _compare(node, known, content):
            hits.append((number, row, counts))
    owners = source.owners.by("inode", every.stands_for[[row for _, row, _ in hits]]).columns()
    whose = Frame({name: owners[name] for name in OWNER_COLUMNS}).rows()
    shown = every.shown(row for _, row, _ in hits)
    matches = []
    for place, (number, row, counts) in enumerate(hits):
        matches.append((number, Match(
            known=known[number].name, path=shown[place], deleted=int(rows.nlink[row]) == 0, size=int(rows.size[row]),
            pages=-(-int(rows.size[row]) // _PAGE), inode=int(rows.number[row]), address=int(rows.inode[row]),
            **counts, **whose[place],
        )))  # fmt: skip
    matches.sort(key=lambda pair: (pair[0], -pair[1].equal, -pair[1].moved, pair[1].path or "~", pair[1].address))
    return [match for _, match in matches]


def _read(path: Path) -> _Known:
    from memir.kernel.filemap import page_hash

    pages: list[bytes] = []
    places: dict[bytes, set[int]] = {}
    size = 0
    holes = _holes(path)
    try:
        with path.open("rb") as file:
            while page := file.read(_PAGE):
                digest, blank = page_hash(page)
                pages.append(digest)
                if not blank and len(pages) - 1 not in holes:
                    places.setdefault(digest, set()).add(len(pages) - 1)
                size += len(page)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not places:
        raise UsageError(f"{path}: has no page that could be told from other files': it is empty, or blank throughout")
    return _Known(str(path), size, pages, places, holes)


def _holes(path: Path) -> set[int]:
    """Pages that were not in RAM when the file was extracted, by the manifest above it; none for any other file."""
    for folder in path.resolve().parents:
        manifest = folder / "manifest.json"
        try:
            if not manifest.is_file() or manifest.stat().st_size > _MOST_MANIFEST:
                continue
            files = json.loads(manifest.read_bytes())["files"]
            own = [entry for entry in files if entry["file"] == path.resolve().relative_to(folder).as_posix()]
            spans = [(int(begin), int(end)) for entry in own for begin, end in entry["holes"]]
        except (OSError, ValueError, KeyError, TypeError):
            return set()  # no manifest of ours
        return {page for begin, end in spans for page in range(begin // _PAGE, -(-end // _PAGE))}
    return set()


def _compare(node: Node, known: list[_Known], content: Content) -> Iterable[tuple[int, dict[str, Any]]]:
    """(number of the known file, counts) of those that a file in RAM has a page of."""
    from memir.kernel.filemap import page_hashes

    pages = [(offset // _PAGE, digest, blank) for offset, digest, blank in page_hashes(node.source.kernel, content)]
    for number, file in enumerate(known):
        equal = moved = differing = 0
        for place, digest, blank in pages:
            inside = place < len(file.pages) and place not in file.holes
            if inside and file.pages[place] == digest:
                equal += not blank
            elif digest in file.places:
                moved += 1
            elif inside:
                differing += 1
        if equal or moved:
            whole = content.complete and content.size == file.size and not moved and not file.holes
            other = moved + differing
            verdict = "alike" if equal <= other else "changed" if other else "whole" if whole else "part"
            here = len(pages)
            yield number, {"verdict": verdict, "here": here, "equal": equal, "moved": moved, "differing": differing}
