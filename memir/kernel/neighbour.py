# SPDX-License-Identifier: Apache-2.0
"""include/net/neighbour.h: who was reached at which hardware address (ARP and neighbour discovery)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.blank import whole
from memir.kernel.ip_fib import address
from memir.kernel.list import chain, hlist_nodes
from memir.kernel.netdevice import link_addresses
from memir.kernel.pagetable import U64
from memir.kernel.rows import among, distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

STATES = {
    0x00: "none", 0x01: "incomplete", 0x02: "reachable", 0x04: "stale", 0x08: "delay", 0x10: "probe", 0x20: "failed",
    0x40: "noarp", 0x80: "permanent",
}  # fmt: skip
"""NUD_*, include/uapi/linux/neighbour.h."""
ROUTER = 0x80
"""NTF_ROUTER."""
_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80  # NUD_VALID: the hardware address is known
_KEYS = {2: 4, 10: 16}  # length of an address by family
_LARGEST = 20  # 2^20 slots: the tables grow with their entries, of which gc_thresh3 allows a thousand
_MOST = 1 << 20


@dataclass(frozen=True)
class Neighbours:
    """Neighbours, one row each. device: struct net_device. mac: None where it is not known (yet). flags: NTF_*."""

    neighbour: U64
    device: U64
    family: NDArray[np.int64]
    address: list[str | None]
    mac: list[str | None]
    state: NDArray[np.int64]
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.neighbour)


def tables(kernel: Kernel, device: U64) -> U64:
    """neigh_table of IPv4 and IPv6, as the interfaces' own settings name them: no symbol is needed."""
    known: list[U64] = []
    for member, struct, parms in (("ip_ptr", "in_device", "arp_parms"), ("ip6_ptr", "inet6_dev", "nd_parms")):
        if kernel.types.has(struct, parms):
            inside = kernel.pointer(device, "net_device", member)
            own = distinct(kernel.pointer(inside, struct, parms))
            known.append(kernel.pointer(own, "neigh_parms", "tbl"))
    every = distinct(np.concatenate(known)) if known else np.zeros(0, np.uint64)
    every = every[every != 0]
    family, length = (kernel.try_read(every, "neigh_table", name)[0].tolist() for name in ("family", "key_len"))
    good = np.array([_KEYS.get(int(kind)) == size for kind, size in zip(family, length, strict=True)], bool)
    kernel.count_unread("neighbour table", every, good)
    sound: U64 = every[good]
    return sound


def neighbours(kernel: Kernel, device: U64) -> Neighbours:
    """Neighbours by the interfaces of these `struct net_device *`, of all namespaces that they are in."""
    table = tables(kernel, device)
    heads, of_head = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    slots = kernel.pointer(table, "neigh_table", "nht")
    # newer kernels (7.2) have hlist in place of chains of their own
    linked = kernel.types.has("neigh_hash_table", "hash_heads")
    first = kernel.pointer(slots, "neigh_hash_table", "hash_heads" if linked else "hash_buckets")
    shift = kernel.read(slots, "neigh_hash_table", "hash_shift").astype(np.int64)
    fits = (shift <= _LARGEST) & (first != 0)
    kernel.count_unread("neighbour table", slots, fits)
    for row in np.flatnonzero(fits).tolist():
        heads.append(first[row] + np.arange(1 << int(shift[row]), dtype=np.uint64) * np.uint64(8))
        of_head.append(np.full(len(heads[-1]), row))
    head, owner = np.concatenate(heads), np.concatenate(of_head)
    if linked:
        which, node = hlist_nodes(kernel, head, "neighbours", _MOST)
        entry = kernel.container(node, "neighbour", "hash")
    else:
        which, entry = chain(
            kernel, kernel.pointers(head), kernel.types.offset("neighbour", "next"), "neighbours", _MOST
        )
    own = table[owner[which]]
    home = kernel.try_read(entry, "neighbour", "dev")[0].astype(np.uint64)
    good = whole(kernel, entry, kernel.types.size("neighbour") + 16) & among(home, device)
    good &= kernel.try_read(entry, "neighbour", "tbl")[0].astype(np.uint64) == own
    kernel.count_unread("neighbour", entry, good)
    return _fields(kernel, entry[good], home[good], own[good])


def _fields(kernel: Kernel, entry: U64, device: U64, table: U64) -> Neighbours:
    family = kernel.read(table, "neigh_table", "family").astype(np.int64)
    key, ok = kernel.read_bytes(kernel.embedded(entry, "neighbour", "primary_key"), 16)
    state = kernel.read(entry, "neighbour", "nud_state").astype(np.int64)
    valid = (state & _VALID) != 0
    hardware = np.where(valid, kernel.embedded(entry, "neighbour", "ha"), np.uint64(0))
    kinds = zip(family.tolist(), key, ok, strict=True)
    return Neighbours(
        neighbour=entry,
        device=device,
        family=family,
        address=[address(kind, raw.tobytes()) if fine else None for kind, raw, fine in kinds],
        mac=link_addresses(kernel, device, hardware),
        state=state,
        flags=kernel.read(entry, "neighbour", "flags").astype(np.int64),
    )
