# SPDX-License-Identifier: Apache-2.0
"""Files out of the page cache: their digests are those that the recorder took."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.filemap import contents, sha256
from memir.kernel.pagemap import cached_pages, file_pages
from memir.kernel.space import u64
from memir.kernel.swap import is_swapped
from memir.kernel.vma import vmas
from memir.kube.ram import RamSource
from tests.damage import damaged, patched
from tests.images import case
from tests.kernel import held
from tests.kernel.host import SMALL, host_files
from tests.lab.held import page

NodeOf = Callable[[str], RamSource]
U64 = np.ndarray[tuple[int], np.dtype[np.uint64]]
LIMIT = 64 << 20
BUSYBOX = "/bin/busybox"


def inodes(node: RamSource, paths: list[str]) -> U64:
    files = host_files(node)
    return node.kernel.pointer(np.array([files[path] for path in paths], np.uint64), "dentry", "d_inode")


@pytest.mark.parametrize("name", SMALL)
def test_files_have_the_digests_that_were_recorded(node_of: NodeOf, name: str) -> None:
    """Upper files of containers lie on a tmpfs, which is all in memory."""
    node = node_of(name)
    recorded = {one["file"]: one for one in case(name).raw_truth()["upper"]}
    found = file_pages(node.kernel, inodes(node, list(recorded)), LIMIT)
    compared = 0
    for (path, one), pages in zip(recorded.items(), found, strict=True):
        assert None not in pages, path
        data = b"".join(page or b"" for page in pages)
        assert len(data) == one["size"], path
        assert hashlib.sha256(data).hexdigest() == one["sha256"], path
        compared += bool(data)
    assert compared >= 1  # the others are empty


def test_places_in_the_file(node_of: NodeOf) -> None:
    """A program of many pages: every page number once, each page somewhere else, the ELF header first."""
    node = node_of("s-6.1-small")
    kernel = node.kernel
    inode = inodes(node, [BUSYBOX])
    size = int(kernel.read(inode, "inode", "i_size")[0])
    mapping = kernel.pointer(inode, "inode", "i_mapping")
    found = cached_pages(kernel, np.append(mapping, np.uint64(0)))
    count = -(-size // 4096)
    assert np.array_equal(np.sort(found.index), np.arange(count, dtype=np.uint64))
    assert not found.owner.any() and found.values.tolist() == [0, 0]
    assert len(np.unique(found.pa)) == count
    first = int(found.pa[found.index == 0][0])
    assert bytes(kernel.memory.read(first, 4)) == b"\x7fELF"
    (pages,) = file_pages(kernel, inode, LIMIT)
    assert sum(len(page or b"") for page in pages) == size


def test_sizes_that_lie(node_of: NodeOf) -> None:
    """A size beyond the limit is cut there, a negative one is none; both are counted, and nothing is made up."""
    node = node_of("s-6.1-small")
    kernel = node.kernel
    inode = inodes(node, [BUSYBOX, "/"])
    own = Kernel(kernel.memory, kernel.anchors, Gaps())
    (pages,) = file_pages(own, inode[:1], 10_000)
    assert [len(page or b"") for page in pages] == [4096, 4096, 1808]
    assert [(gap.kind, gap.count) for gap in own.gaps] == [("file", 1)]
    pa, _ = kernel.space.physical(kernel.embedded(inode, "inode", "i_size"))
    lies = patched(kernel.memory, {int(pa[0]): b"\xff" * 8, int(pa[1]): (20_000).to_bytes(8, "little")})
    own = Kernel(damaged(kernel.memory, lies), kernel.anchors, Gaps())
    assert file_pages(own, inode, LIMIT) == [[], [None] * 5]  # a directory has no pages, whatever its size says
    assert file_pages(own, u64(0), LIMIT) == [[]]


@pytest.mark.parametrize("name", ["lzo-rle", "lz4", "zstd"])
def test_swapped_pages_of_a_tmpfs(name: str) -> None:
    """A file of 32 pages that its process had swapped out: every byte of it, though no page of it is cached."""
    node, record = held.node(), held.swapped()[name]
    processes = {row.pid: row.task for row in node.processes.rows}
    mm = node.kernel.pointer(u64(processes[record["pid"]]), "task_struct", "mm")
    regions = vmas(node.kernel, mm)
    mapping = np.unique(node.kernel.pointer(regions.file[regions.file != 0], "file", "f_mapping"))
    inode = node.kernel.pointer(mapping, "address_space", "host")
    numbers = node.kernel.read(inode, "inode", "i_ino").tolist()
    sizes = node.kernel.read(inode, "inode", "i_size").astype(np.int64)
    row = next(
        row for row, number in enumerate(numbers) if number == record["inode"] and sizes[row] == 32 * 4096
    )
    pages = cached_pages(node.kernel, mapping[row : row + 1])
    assert pages.index.tolist() == list(range(record["file_pages"])) and is_swapped(pages.pa).sum() >= 16
    content = file_pages(node.kernel, inode[row : row + 1], LIMIT)[0]
    assert content == [page(name, number) for number in range(record["file_pages"])]
    one = contents(node.kernel, mapping[row : row + 1], sizes[row : row + 1])[0]
    whole = hashlib.sha256(b"".join(page(name, number) for number in range(record["file_pages"]))).hexdigest()
    assert one.complete and sha256(node.kernel, one) == whole
