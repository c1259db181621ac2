# SPDX-License-Identifier: Apache-2.0
"""The table `preloads`."""

from __future__ import annotations

import re

import numpy as np

from memir.kernel.inode import inodes
from memir.kernel.pagemap import file_pages
from memir.kernel.rows import rows_of
from memir.kube.log_files import log_files
from memir.kube.ram import RamSource
from memir.tables.frame import Frame, known
from memir.tables.table import Table, columns

NAME = b"ld.so.preload"
LIMIT = 64 << 10
"""Bytes that are read of such a file; a line is enough."""

COLUMNS = columns("""
    path             string       path of the file as its owner sees it; the loader asks for /etc/ld.so.preload alone
    libraries        list<string> what it names, in order; null if a page of it is not in RAM
    layer            string       upper, lower, tmpfs, volume or node, as in inodes; null if not known
    size             int64        bytes
    mtime            timestamp    when its content last changed
    ctime            timestamp    when its inode last changed
    inode            uint64       inode number
    address          uint64       kernel virtual address of struct inode
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every file of this name that memory holds, by path: of the node, of containers and of images' layers."""
    kernel = source.kernel
    files = log_files(source, re.compile(rb"(?<=\0)%s(?=\0)" % re.escape(NAME)))
    address = np.array([file.inode for file in files], np.uint64)
    rows = inodes(kernel, address)
    place = rows_of(source.inodes.inodes.inode, address).tolist()
    texts = [_content(pages) for pages in file_pages(kernel, address, LIMIT)]
    kernel.gaps.add("ld.so.preload", "page cache", "content not in RAM", sum(text is None for text in texts))
    return Frame({
        "path": [file.path for file in files],
        "libraries": [None if text is None else libraries(text) for text in texts],
        "layer": [source.inodes.layer[row] if row >= 0 else None for row in place],
        "size": rows.size,
        "mtime": known(rows.mtime // 1000),
        "ctime": known(rows.ctime // 1000),
        "inode": rows.number,
        "address": address,
        "source": ["page cache"] * len(files),
    }, address)  # fmt: skip


def _content(pages: list[bytes | None]) -> bytes | None:
    """The bytes of a file; a page of zeros was not read."""
    return None if any(page is None or not any(page) for page in pages) else b"".join(page or b"" for page in pages)


def libraries(text: bytes) -> list[str]:
    """elf/rtld.c: names between blanks, tabs, newlines and colons, from a # on a line is a comment."""
    lines = [line.split(b"#", 1)[0] for line in text.split(b"\n")]
    words = b" ".join(lines).replace(b":", b" ").split()
    return [word.decode("utf-8", "backslashreplace") for word in words if word.strip(b"\0")]


TABLE = Table(
    "preloads", "Files that tell the dynamic loader which libraries to put in front of every program.",
    COLUMNS, "inode", {"ram": read},
)  # fmt: skip
