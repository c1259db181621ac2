# SPDX-License-Identifier: Apache-2.0
"""Content of files as the recorder hashed it, holes said, pages of a made-up file in their places."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import filemap
from memir.kernel.filemap import PAGE, Content
from memir.kube.ram import RamSource

NodeOf = Callable[[str], RamSource]
IMAGES = ("s-5.10-small-v1", "s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")


def mapping_of(node: RamSource, path: bytes) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], int]:
    names = node.inodes.names
    row = next(row for row, inside in enumerate(names.inside) if inside == path and names.layer[row] >= 0)
    place = node.inodes.inodes.inode.tolist().index(int(names.inode[row]))
    inode = node.inodes.inodes.inode[place : place + 1]
    return node.kernel.embedded(inode, "inode", "i_data"), int(node.inodes.inodes.size[place])


@pytest.mark.parametrize("name", IMAGES)
def test_a_log_byte_for_byte(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    mapping, size = mapping_of(node, b"/tmp/server.log")
    content = filemap.contents(node.kernel, mapping, np.array([size]))[0]
    assert (content.complete, content.spans(), content.holes()) == (True, [(0, 18)], [])
    text = b"".join(data for _, data in content.chunks(node.kernel))
    # the recorder's hash of this file on every small image
    assert hashlib.sha256(text).hexdigest() == "67692c5b639bbf77b89d500631bd8566f2e0bfc7c6e140580b2e8a890f464958"
    assert filemap.sha256(node.kernel, content) == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize("name", IMAGES)
def test_pages_are_where_the_dropper_has_them(name: str, node_of: NodeOf) -> None:
    """A file that asks for more, or less, than is there: holes, and no page beyond its size."""
    node = node_of(name)
    mapping, size = mapping_of(node, b"/tmp/dropper")
    mappings = np.repeat(mapping, 4)
    every, longer, less, negative = filemap.contents(
        node.kernel, mappings, np.array([size, size + 3 * PAGE, PAGE + 5, -1])
    )
    assert every.complete and not longer.complete and filemap.sha256(node.kernel, longer) is None
    last = -(-size // PAGE) * PAGE
    assert (longer.spans(), longer.holes()) == ([(0, last)], [(last, size + 3 * PAGE)])
    start = dict(every.chunks(node.kernel))[0]
    assert start[:4] == b"\x7fELF" and len(start) == size
    assert b"".join(data for _, data in less.chunks(node.kernel)) == start[: PAGE + 5]
    assert (negative.size, negative.spans(), negative.holes(), negative.complete) == (0, [], [], True)


def test_holes_are_ranges(node_of: NodeOf) -> None:
    """Pages 1, 2 and 5 of a file of 6.5 pages; each run of pages is one chunk at its own offset."""
    kernel = node_of("s-6.1-small").kernel
    mapping, _ = mapping_of(node_of("s-6.1-small"), b"/tmp/dropper")
    pa = filemap.contents(kernel, mapping, np.array([3 * PAGE]))[0].pa
    content = Content(np.array([1, 2, 5]), pa, 6 * PAGE + 100)
    assert content.spans() == [(PAGE, 3 * PAGE), (5 * PAGE, 6 * PAGE)]
    assert content.holes() == [(0, PAGE), (3 * PAGE, 5 * PAGE), (6 * PAGE, 6 * PAGE + 100)]
    whole = kernel.memory.gather(pa, PAGE)[0]
    assert list(content.chunks(kernel)) == [(PAGE, whole[:2].tobytes()), (5 * PAGE, whole[2].tobytes())]


@pytest.mark.parametrize("name", IMAGES)
def test_dirty(name: str, node_of: NodeOf) -> None:
    """Nothing writes a tmpfs back, so its pages stay dirty; those of an initial file system too."""
    node = node_of(name)
    pages = node.pages
    mapping, size = mapping_of(node, b"/tmp/dropper")
    own = pages.file_pfn[pages.mapping == mapping[0]]
    assert len(own) == -(-size // PAGE) and filemap.dirty(node.kernel, own).all()
    assert not filemap.dirty(node.kernel, np.array([1 << 40], np.uint64))[0]


def test_page_hash() -> None:
    zeros, some = bytes(PAGE), b"a" + bytes(9)
    assert filemap.page_hash(zeros) == (hashlib.sha256(zeros).digest(), True)
    assert filemap.page_hash(some) == (hashlib.sha256(some).digest(), False)


def test_page_hashes_end_where_the_file_does(node_of: NodeOf) -> None:
    node = node_of("s-6.12-intruded")
    kernel, rows = node.kernel, node.inodes.inodes
    size = np.where(rows.mode >> 12 == 8, rows.size, 0)
    every = filemap.contents(kernel, kernel.embedded(rows.inode, "inode", "i_data"), size)
    content = next(each for each in every if each.complete and each.size % PAGE and len(each.index) == 2)
    first, last = filemap.page_hashes(kernel, content)
    data = b"".join(kernel.memory.read(pa, PAGE) for pa in content.pa.tolist())[: content.size]
    assert first == (0, hashlib.sha256(data[:PAGE]).digest(), len(set(data[:PAGE])) == 1)
    assert last == (PAGE, hashlib.sha256(data[PAGE:]).digest(), len(set(data[PAGE:])) == 1)
