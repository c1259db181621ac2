# SPDX-License-Identifier: Apache-2.0
"""python -m tests.lab.thin RAW OUT TABLE... [text=SYMBOL] [file=PATH] [comm=NAME]: a copy with what these tables read.

Every other page is zeros, so that it packs to a fraction: for a sample that a few tests need. Swap spaces and the
memory of processes with pages there are kept whole, as are files and the memory of processes named.
samples/s-6.1-held: processes sockets files vmas inodes.
samples/s-6.12-recorded: pages vmas sockets conntrack files bpf cgroups pods log inodes file=/data/numbers comm=large.
samples/s-6.1-hidden: processes threads sockets modules hooks text=__x64_sys_swapoff, an eighth of the kernel's text.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from memir.image.layout import Range
from memir.image.memory import PhysicalMemory
from memir.image.open import open_image
from memir.kernel.engine import Kernel
from memir.kernel.filemap import contents
from memir.kernel.mm import page_roots
from memir.kernel.pagemap import cached_pages
from memir.kernel.rows import spread
from memir.kernel.swap import BEYOND, swap_of
from memir.kernel.vma import vmas
from memir.kube.ram import RamSource
from memir.symbols.locate import locate
from memir.tables import inodes
from memir.tables.table import tables

PAGE = 4096


class Recorded(PhysicalMemory):
    """Notes which pages are read. pages: bool, by page frame."""

    pages: np.ndarray[Any, np.dtype[np.bool_]]

    def locate(self, pa: Any, size: int) -> Any:
        """As PhysicalMemory.locate."""
        index, ok = super().locate(pa, size)
        first = index[ok] // PAGE
        for step in range(-(-size // PAGE) + 1):
            frame = np.minimum(first + step, (index[ok] + max(size, 1) - 1) // PAGE)
            self.pages[frame] = True
        return index, ok

    def present(self, pa: Any) -> Any:
        """As PhysicalMemory.present; asking is not reading."""
        return self._map.locate(np.asarray(pa, np.uint64), 1)[1] | (np.asarray(pa, np.uint64) >= np.uint64(BEYOND))

    def read_partial(self, pa: int, size: int) -> tuple[bytes, list[Range]]:
        """As PhysicalMemory.read_partial."""
        if 0 <= pa < self.end:
            self.pages[pa // PAGE : -(-(pa + size) // PAGE)] = True
        return super().read_partial(pa, size)


def _keep_file(node: RamSource, path: str) -> None:
    """All cached pages of the file of this name."""
    every = node.inodes
    row = [number for number, shown in enumerate(every.shown(range(len(every)))) if shown == path]
    inode = every.inodes.inode[row]
    mapping = node.kernel.embedded(inode, "inode", "i_data")
    for content in contents(node.kernel, mapping, every.inodes.size[row]):
        list(content.chunks(node.kernel))


def _keep_memory(node: RamSource, comm: str) -> None:
    """All that the processes of this name have mapped."""
    own = [number for number, process in enumerate(node.processes.rows) if process.comm == comm]
    mm = node.kernel.pointer(node.processes.task[own], "task_struct", "mm")
    maps = node.kernel.space.user_mappings(page_roots(node.kernel, mm))
    row, step = spread((maps.size // PAGE).astype(np.int64))
    node.kernel.memory.gather(maps.pa[row] + step.astype(np.uint64) * np.uint64(PAGE), PAGE)


def _sample_text(node: RamSource, symbol: str) -> None:
    """Of the kernel's text keep one page in eight and those around a symbol: it packs badly, and is much alike."""
    memory, kernel = node.kernel.memory, node.kernel
    assert isinstance(memory, Recorded)
    first, last, place = (kernel.anchors.image_pa(kernel.symbols[name]) >> 12 for name in ("_stext", "_etext", symbol))
    text = np.arange(first, last)
    memory.pages[text[(text % 8 != 0) & (abs(text - place) > 1)]] = False


def main() -> None:
    """Write the copy, packed."""
    source, target, given = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    names = [word for word in given if "=" not in word]
    asked = [word.split("=", 1) for word in given if "=" in word]
    memory = open_image(source)
    memory.__class__ = Recorded
    assert isinstance(memory, Recorded)
    memory.pages = np.zeros(-(-memory.end // PAGE), bool)
    kernel = Kernel(memory, locate(memory))
    node = RamSource(kernel)
    inodes.MAX_HASHED = 0  # names and sizes of files, not what is in them
    for name in names:
        tables()[name].read(node)
    for space in swap_of(kernel).spaces.values():
        number = np.arange(1, space.pages, dtype=np.uint64)
        place, known = swap_of(kernel).pages(np.full(len(number), space.type, np.uint64), number)
        kernel.memory.gather(place[known], PAGE)
    living = node.processes.living
    mm = np.unique(kernel.pointer(living, "task_struct", "mm"))
    mm = mm[mm != 0]
    readable, _ = swap_of(kernel).counts(page_roots(kernel, mm))
    maps = kernel.space.user_mappings(page_roots(kernel, mm[readable > 0]), swap_of(kernel).places)
    kernel.memory.gather(maps.pa[maps.size == PAGE], PAGE)
    file = vmas(kernel, mm[readable > 0]).file
    cached_pages(kernel, np.unique(kernel.pointer(file[file != 0], "file", "f_mapping")))  # where a tmpfs has its own
    for kind, name in asked:
        {"text": _sample_text, "file": _keep_file, "comm": _keep_memory}[kind](node, name)
    print(f"{int(memory.pages.sum())} pages", flush=True)
    data = np.fromfile(source, np.uint8)
    data.reshape(-1, PAGE)[~memory.pages[: len(data) // PAGE]] = 0
    settings = zstandard.ZstdCompressionParameters.from_level(7, window_log=27)
    target.write_bytes(zstandard.ZstdCompressor(compression_params=settings).compress(data.tobytes()))
    print(f"{target}: {int(memory.pages.sum())} pages, {target.stat().st_size:,} bytes packed")


if __name__ == "__main__":
    main()
