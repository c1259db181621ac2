# SPDX-License-Identifier: Apache-2.0
"""Connections written into free pages of a real image, as nf_conntrack would have them: no sample has the module."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from memir.gaps import Gaps
from memir.kernel import fdtable, page, slab
from memir.kernel.engine import Kernel
from memir.kernel.jiffies import jiffies
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols
from tests.damage import damaged, patched

End = tuple[str, int, str, int]
PAGE = 4096
SLOTS = 8


@dataclass(frozen=True)
class Entry:
    """original, reply: addresses and ports. left: jiffies until it ends; counters: packets and bytes each way."""

    original: End
    reply: End
    protocol: int = 6
    status: int = 0xE
    state: int = 3
    zone: int = 0
    left: int = 0
    counters: tuple[int, int, int, int] | None = None
    start: int | None = None
    net: int = 0
    ended: bool = False


def _tuple(end: End, protocol: int, direction: int) -> bytes:
    family = socket.AF_INET6 if ":" in end[0] else socket.AF_INET
    source, target = (socket.inet_pton(family, text).ljust(16, b"\0") for text in (end[0], end[2]))
    first, last = (struct.pack(">H", port) for port in (end[1], end[3]))
    return source + first + struct.pack("<H", family) + target + last + bytes([protocol, direction])


def free_pages(kernel: Kernel, count: int) -> list[int]:
    """Physical addresses of pages that nobody uses."""
    told = page.pages(kernel)
    return [int(frame) << 12 for frame in told.pfn()[told.use == page.FREE][:count]]


def planted(node: RamSource, entries: Sequence[Entry]) -> Kernel:
    """The node's kernel with a table of these connections, in a chain each; each in the first namespace by default."""
    kernel, types = node.kernel, node.kernel.types
    net = int(node.net_namespaces[0][0])
    table, *pages = free_pages(kernel, len(entries) + 1)
    cache = slab.cache_of(kernel, fdtable.open_files(kernel, node.processes.living)[2])
    spare = slab.objects(kernel, cache)[-1]
    virtual = {pa: pa + kernel.space.direct_delta for pa in (table, *pages)}
    where = {row: virtual[pa] for row, pa in enumerate(pages)}
    way, nulls = types.size("nf_conntrack_tuple_hash"), 1
    inside = types.offset("nf_conn", "tuplehash")
    heads = [nulls] * SLOTS
    changes: dict[int, bytes] = {}
    for row, entry in enumerate(entries):
        address = int(spare) if entry.ended else where[row]
        data = bytearray(PAGE)
        node_of = [address + inside + way * direction for direction in (0, 1)]
        for direction, end in enumerate((entry.original, entry.reply)):
            raw = _tuple(end, entry.protocol, direction)
            start = inside + way * direction + types.offset("nf_conntrack_tuple_hash", "tuple")
            data[start : start + 40] = raw
            if not entry.ended:
                slot = (2 * row + direction) % SLOTS
                at = inside + way * direction
                data[at : at + 8] = struct.pack("<Q", heads[slot])
                heads[slot] = node_of[direction]
        now = jiffies(kernel) or 0
        values = {
            "status": struct.pack("<Q", entry.status),
            "timeout": struct.pack("<I", (now + entry.left) & 0xFFFF_FFFF),
            "ct_net.net": struct.pack("<Q", entry.net or net),
            "zone.id": struct.pack("<H", entry.zone),
            "proto.tcp.state": bytes([entry.state]),
            "ct_general.use.refs.counter": struct.pack("<I", 0 if entry.ended else 1),
        }
        if entry.counters is not None or entry.start is not None:
            values["ext"] = struct.pack("<Q", address + 2048)
            names = types.enum("nf_ct_ext_id") or {}
            for name, place, words in (
                ("ACCT", 64, entry.counters),
                ("TSTAMP", 128, None if entry.start is None else (entry.start, 0)),
            ):
                if words is not None:
                    data[2048 + names[f"NF_CT_EXT_{name}"]] = place
                    data[2048 + place : 2048 + place + 8 * len(words)] = struct.pack(f"<{len(words)}q", *words)
        for member, value in values.items():
            at = types.offset("nf_conn", member)
            data[at : at + len(value)] = value
        size = types.size("nf_conn") if entry.ended else PAGE
        changes[address - kernel.space.direct_delta] = bytes(data[:size])
    changes[table] = struct.pack(f"<{SLOTS}Q", *heads)
    changes[table + 256] = struct.pack("<QIxxxxQ", virtual[table], SLOTS, cache)
    named = {
        "nf_conntrack_hash": virtual[table] + 256,
        "nf_conntrack_htable_size": virtual[table] + 264,
        "nf_conntrack_cachep": virtual[table] + 272,
    }
    symbols = Symbols.from_pairs([*kernel.symbols.items(), *named.items()], "planted")
    memory = damaged(kernel.memory, patched(kernel.memory, changes))
    return Kernel(memory, replace(kernel.anchors, symbols=symbols), Gaps())
