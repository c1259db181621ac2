# SPDX-License-Identifier: Apache-2.0
"""The table `page_hashes`."""

from __future__ import annotations

import numpy as np

from memir.kernel import fs
from memir.kernel.filemap import PAGE, contents, page_hashes
from memir.kernel.pagetable import I64
from memir.kernel.swap import BEYOND
from memir.kube.inodes import NodeInodes
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

MAX_HASHED = 1 << 30
"""Bytes in RAM that are hashed for one table, those of containers' own changes first, then of files with few."""

COLUMNS = columns("""
    address          uint64       kernel virtual address of struct inode, as the table inodes has it
    device           string       major:minor of its file system
    inode            uint64       inode number
    path             string       as its container sees it, else on the node, else within its file system
    size             int64        bytes of the whole file
    offset           int64        bytes into the file of the page
    bytes            int32        how many bytes of the file it holds: 4096, but less at its end
    sha256           string       hash of these bytes
    blank            bool         all of them are the same byte: many files have such a page
    frame            uint64       physical address; null for a page that was swapped out
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Each page in RAM of every regular file that lacks some of its pages there; whole files have inodes.sha256."""
    every, kernel = source.inodes, source.kernel
    rows = every.inodes
    chosen = _partial(source, every)
    mapping = kernel.embedded(rows.inode[chosen], "inode", "i_data")
    blocks, back = np.unique(rows.superblock[chosen], return_inverse=True)
    devices = fs.devices(kernel, blocks)
    paths = every.shown(chosen.tolist())
    page_of: list[int] = []
    made: dict[str, list[object]] = {name: [] for name in ("offset", "bytes", "sha256", "blank", "frame")}
    for number, content in enumerate(contents(kernel, mapping, rows.size[chosen])):
        if content.complete:
            continue
        frames = dict(zip((content.index * PAGE).tolist(), content.pa.tolist(), strict=True))
        for offset, digest, blank in page_hashes(kernel, content):
            page_of.append(number)
            place = frames[offset]
            values = (offset, min(PAGE, content.size - offset), digest.hex(), blank, None if place >= BEYOND else place)
            for name, value in zip(made, values, strict=True):
                made[name].append(value)
    of = np.array(page_of, np.int64)
    return Frame({
        "address": rows.inode[chosen][of],
        "device": [devices[row] for row in back.reshape(-1)[of].tolist()],
        "inode": rows.number[chosen][of],
        "path": [paths[row] for row in page_of],
        "size": rows.size[chosen][of],
        **made,
        "source": ["page cache"] * len(page_of),
    }, every.stands_for[chosen][of])  # fmt: skip


def _partial(source: RamSource, every: NodeInodes) -> I64:
    """Rows of regular files of which RAM has a part, up to MAX_HASHED bytes; what is left out is counted."""
    rows = every.inodes
    chosen = np.flatnonzero(every.cached_files & (rows.pages < -(-rows.size // PAGE)))
    later = every.layer[chosen] != "upper"
    chosen = chosen[np.lexsort((rows.pages[chosen], later))]
    fits = np.cumsum(rows.pages[chosen]) * PAGE <= MAX_HASHED
    lost = int(rows.pages[chosen[~fits]].sum())
    source.gaps.add("sha256", "page_hashes", f"pages of files beyond {MAX_HASHED >> 20} MiB of them", lost)
    return np.sort(chosen[fits])


TABLE = Table(
    "page_hashes", "Pages of files that RAM holds a part of: to tell what file that part is of.", COLUMNS, "inode",
    {"ram": read}, on_request=True,
)  # fmt: skip
