# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""The program of a process as a file, for `--dump` of volatility3's linux.pslist and linux.elfs.

volatility3 2.28 looks for the ELF header where a program's code begins. Linkers put code into a segment of its own
(`-z separate-code`, the default of binutils on x86 since 2.31), so that it finds none and every row fails; and it takes
addresses of a program that is not position independent for distances from its start, which gives a file of zeros.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any

from volatility3.framework import exceptions
from volatility3.plugins.linux import elfs

MAX_FILE = 1 << 29
"""Bytes of a program's file that are put together: what its headers claim may be hostile."""
FAILED = "Error outputting file"
"""What volatility3 writes into the column of a row whose file it could not write."""
_PAGE = 4096
_MAX_HEADERS = 128  # the kernel itself takes up to 64 KiB of them: 1170; linkers make a dozen
_PT_LOAD = 1
_USER = (1 << 47) - 1  # where a program can be; a hostile header would have it elsewhere


def program(read: Any, start: int) -> bytes | None:
    """The file of the program whose ELF header is mapped at `start`: its loaded segments at their places in the file.

    read(address, size): bytes of the process, zeros for what is absent. None if there is no ELF header (64 or 32 bits,
    little-endian), or it claims more than MAX_FILE. Sections are not loaded, so that the file has none.
    """
    head = read(start, 64)
    if head[:4] != b"\x7fELF" or head[4] not in (1, 2):
        return None
    wide = head[4] == 2
    table, size, count = (
        (struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54))
        if wide
        else (struct.unpack_from("<I", head, 28)[0], *struct.unpack_from("<HH", head, 42))
    )
    if size != (56 if wide else 32) or not 0 < count <= _MAX_HEADERS or table > MAX_FILE:
        return None
    raw = read(start + table, size * count)
    segments = [segment for row in range(count) if (segment := _segment(raw[row * size : (row + 1) * size], wide))]
    first = next((virtual - offset for offset, virtual, _ in segments if offset < _PAGE), None)
    end = max((offset + length for offset, _, length in segments), default=0)
    if first is None or max(end, sum(length for _, _, length in segments)) > MAX_FILE:
        return None
    data = bytearray(end)
    for offset, virtual, length in segments:
        data[offset : offset + length] = read((start + virtual - first) & _USER, length)
    return bytes(data)


def _segment(raw: bytes, wide: bool) -> tuple[int, int, int] | None:
    """(offset in the file, virtual address, bytes in the file) of a segment that is loaded."""
    if wide:
        kind, _, offset, virtual, _, length = struct.unpack_from("<IIQQQQ", raw)
    else:
        kind, offset, virtual, _, length = struct.unpack_from("<IIIII", raw)
    return (offset, virtual, length) if kind == _PT_LOAD else None


def _header_of(vma: Any, task: Any) -> int:
    """Where the file of a region is mapped from its first byte on: in this region, or the nearest before it."""
    start = int(vma.vm_start)
    file = int(vma.vm_file)
    if not file or not int(vma.vm_pgoff):
        return start
    inode = int(vma.vm_file.dereference().f_inode)
    before = [
        int(other.vm_start)
        for other in task.mm.get_vma_iter()
        if other.vm_start < start and not other.vm_pgoff and other.vm_file
        and int(other.vm_file.dereference().f_inode) == inode
    ]  # fmt: skip
    return max(before, default=start)


def _elf_dump(
    cls: Any, context: Any, layer_name: str, elf_table_name: str, vma: Any, task: Any, open_method: Any
) -> Any:
    """In place of Elfs.elf_dump, with its arguments: the file it wrote, or None."""
    del cls, elf_table_name  # which volatility3 hands over
    layer = context.layers[layer_name]
    try:
        start = _header_of(vma, task)
        data = program(lambda address, size: layer.read(address, size, pad=True), start)
        if data is None:
            return None
        name = task.comm.cast("string", max_length=task.comm.count, errors="replace")
        file = open_method(f"pid.{task.pid}.{name}.{start:#x}.dmp")
    except exceptions.InvalidAddressException:
        return None
    file.write(data)
    return file


@contextlib.contextmanager
def whole_programs() -> Iterator[None]:
    """Meanwhile volatility3's plugins write programs as `program` puts them together."""
    before = vars(elfs.Elfs)["elf_dump"]
    elfs.Elfs.elf_dump = classmethod(_elf_dump)
    try:
        yield
    finally:
        elfs.Elfs.elf_dump = before
