# SPDX-License-Identifier: Apache-2.0
"""Which physical memory a complete image must hold, and whether it does.

/proc/iomem names the RAM; the PT_LOAD headers of /proc/kcore say which of it the kernel hands out. AVML cuts
each piece that is in both into blocks of at most 16 MiB and leaves out a block that is all zero, without a
mark. So a hole is a zero block only if it is whole blocks of that grid; anything else that is missing is
missing.
"""

from __future__ import annotations

import re
import struct

from memir.evidence.ranges import Range, merge, subtract, total

MAX_RANGES = 65_536  # large machines have some hundred; more is a hostile node's
_LINE = re.compile(r"^( *)([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.*)$")




def parse_iomem(text: bytes) -> tuple[Range, ...]:
    """The System RAM ranges of /proc/iomem, merged, in order.

    `System RAM (virtio_mem)` and the like count, also below another resource. Returns () when the kernel hid
    the addresses (all zero, as without CAP_SYS_ADMIN) or there is none; lines that are not iomem's are passed
    over.
    """
    ranges: list[Range] = []
    for line in text.decode("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if not match or not match[4].startswith("System RAM"):
            continue
        start, end = int(match[2], 16), int(match[3], 16) + 1
        if (start, end) == (0, 1) or end <= start:
            continue
        ranges.append((start, end))
        if len(ranges) > MAX_RANGES:
            break
    return merge(ranges)


def parse_reserved(text: bytes) -> int:
    """Bytes of /proc/iomem's reserved ranges below the end of System RAM: RAM that firmware or the kernel keeps."""
    ram = parse_iomem(text)
    end = ram[-1][1] if ram else 0
    reserved: list[Range] = []
    for line in text.decode("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if match and not match[1] and match[4].lower().startswith("reserved") and len(reserved) < MAX_RANGES:
            reserved.append((int(match[2], 16), min(int(match[3], 16) + 1, end)))
    return total(subtract(merge(reserved), ram))


def parse_kcore(head: bytes) -> tuple[Range, ...]:
    """Physical ranges of the PT_LOADs of /proc/kcore's first bytes that have a physical address.

    () if unknown.
    """
    if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
        return ()
    table, size, count = struct.unpack_from("<Q14xHH", head, 32)
    if size < 56 or count > 4096:
        return ()
    ranges = []
    for index in range(count):
        place = table + index * size
        if place + 56 > len(head):
            return ()
        kind, _, _, _, paddr, filesz = struct.unpack_from("<IIQQQQ", head, place)
        # -1 marks segments without a physical address (vmalloc, modules, kernel text)
        if kind == 1 and filesz and paddr + filesz < 1 << 63 and (paddr or index):
            ranges.append((paddr, paddr + filesz))
    return merge(ranges)
















