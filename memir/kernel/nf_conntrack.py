# SPDX-License-Identifier: Apache-2.0
"""include/net/netfilter/nf_conntrack.h: the connections that netfilter follows, of all network namespaces."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import jiffies, slab
from memir.kernel.blank import whole
from memir.kernel.list import hash_nodes, slots
from memir.kernel.module_kallsyms import named, symbols
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import among, distinct
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

SEEN_REPLY, ASSURED, CONFIRMED, SRC_NAT, DST_NAT, DYING = 0x2, 0x4, 0x8, 0x10, 0x20, 0x200
"""IPS_*, include/uapi/linux/netfilter/nf_conntrack_common.h."""
_LENGTHS = {socket.AF_INET: 4, socket.AF_INET6: 16}
# struct nf_conntrack_tuple: fixed since 2.6.25, and the same for every protocol
_SOURCE, _SOURCE_PORT, _FAMILY, _DESTINATION, _PORT, _PROTOCOL, _DIRECTION = 0, 16, 18, 20, 36, 38, 39
_TUPLE = 40
_MOST = 1 << 20  # entries: nf_conntrack_max is 262,144 unless an administrator has raised it
_FOREVER = 1 << 31  # jiffies: a timeout that differs by more has passed


@dataclass(frozen=True)
class Tuple:
    """One direction. Ports: of ICMP the id, and type and code in one; -1 where the protocol has none."""

    source: str
    source_port: int
    destination: str
    destination_port: int


@dataclass(frozen=True)
class Connections:
    """Entries, one row each. net: struct net. protocol: IPPROTO_*. state: enum tcp_conntrack, -1 for no TCP.

    timeout: nanoseconds until it ends by itself, negative when that is over; None not known. packets, bytes: of both
    directions; -1 where they are not counted. start: ns since 1970, -1 not noted. ended: its slot has been given back.
    """

    entry: U64
    net: U64
    zone: I64
    protocol: I64
    original: list[Tuple]
    reply: list[Tuple]
    status: I64
    state: I64
    timeout: list[int | None]
    packets: I64
    bytes: I64
    start: I64
    ended: Bools

    def __len__(self) -> int:
        return len(self.entry)


def connections(kernel: Kernel, net: U64, modules: Callable[[], U64]) -> Connections | None:
    """Entries of the hash table, and ended ones whose slot nobody has used again; None where no connection is followed.

    net: every struct net. modules: struct module of those that are loaded, asked for if it is not built in.
    """
    place: Mapping[str, int] = kernel.symbols
    if "nf_conntrack_hash" not in place:
        module = named(kernel, modules(), b"nf_conntrack")
        if not module:
            return None
        place = symbols(kernel, module)
    if "nf_conntrack_hash" not in place or "nf_conntrack_htable_size" not in place:
        kernel.gaps.add("conntrack table", "nf_conntrack", "its symbols were not found")
        return None
    head = kernel.pointers(u64(place["nf_conntrack_hash"]))
    count = kernel.pointers(u64(place["nf_conntrack_htable_size"])) & np.uint64(0xFFFF_FFFF)
    kernel.count_unread("conntrack table", u64(place["nf_conntrack_hash"]), (head != 0) & (count != 0))
    _, node = hash_nodes(kernel, slots(kernel, head, count, 8, "conntrack table"), "conntrack table", _MOST)
    # an entry is linked once a direction, which the tuple itself names
    way = np.uint64(kernel.types.size("nf_conntrack_tuple_hash"))
    inside = np.uint64(kernel.types.offset("nf_conntrack_tuple_hash", "tuple"))
    direction, read = kernel.read_bytes(node + inside + np.uint64(_DIRECTION), 1)
    fits = read & (direction[:, 0] <= 1) & whole(kernel, node, int(way))
    kernel.count_unread("conntrack entry", node, fits)
    node, direction = node[fits], direction[fits, 0].astype(np.uint64)
    entry = distinct(kernel.container(node - way * direction, "nf_conn", "tuplehash"))
    good, _ = _sound(kernel, entry, net)
    kernel.count_unread("conntrack entry", entry, good, "torn")
    live = entry[good]
    cache = int(kernel.pointers(u64(place.get("nf_conntrack_cachep", 0)))[0]) or slab.cache_of(kernel, live)
    dead = np.setdiff1d(slab.objects(kernel, cache), entry) if cache else np.zeros(0, np.uint64)
    return _fields(kernel, live, _ended(kernel, dead, net))


def _ended(kernel: Kernel, free: U64, net: U64) -> U64:
    """Slots that hold an entry no more, but still what it was: the cache is SLAB_TYPESAFE_BY_RCU, so none is wiped."""
    good, confirmed = _sound(kernel, free, net)
    member = kernel.first_member("nf_conn", "ct_general.use.refs.counter", "ct_general.use.counter")
    unused, read = kernel.try_read(free, "nf_conn", member)
    dead: U64 = free[good & confirmed & read & (unused == 0)]
    return dead


def _tuples(kernel: Kernel, entry: U64) -> tuple[NDArray[np.uint8], Bools]:
    """(uint8[n, 2, 40], read): the tuples of both directions."""
    way = kernel.types.size("nf_conntrack_tuple_hash")
    inside = kernel.types.offset("nf_conntrack_tuple_hash", "tuple")
    raw, ok = kernel.read_bytes(kernel.embedded(entry, "nf_conn", "tuplehash"), 2 * way, entry)
    return raw.reshape(len(entry), 2, way)[:, :, inside : inside + _TUPLE], ok


def _sound(kernel: Kernel, entry: U64, net: U64) -> tuple[Bools, Bools]:
    """(whether what is there is an entry, whether it was in the table once): its own words have to agree."""
    tuples, ok = _tuples(kernel, entry)
    space, read = kernel.try_read(entry, "nf_conn", "ct_net.net")
    status, _ = kernel.try_read(entry, "nf_conn", "status")
    family, protocol = (tuples[:, :, where] for where in (_FAMILY, _PROTOCOL))
    good = ok & read & among(space, net) & whole(kernel, entry, kernel.types.size("nf_conn"))
    good &= (tuples[:, 0, _DIRECTION] == 0) & (tuples[:, 1, _DIRECTION] == 1)
    good &= (family[:, 0] == family[:, 1]) & (protocol[:, 0] == protocol[:, 1]) & among(family[:, 0], list(_LENGTHS))
    return good, (status.astype(np.int64) & CONFIRMED) != 0


def _fields(kernel: Kernel, live: U64, dead: U64) -> Connections:
    entry = np.concatenate((live, dead))
    ended = np.arange(len(entry)) >= len(live)
    tuples, _ = _tuples(kernel, entry)
    protocol = tuples[:, 0, _PROTOCOL].astype(np.int64)
    state = kernel.read(entry, "nf_conn", "proto.tcp.state").astype(np.int64)
    packets, count = _account(kernel, live)
    unknown = np.full(len(dead), -1)  # its extensions have been freed
    zone = kernel.read(entry, "nf_conn", "zone.id") if kernel.types.has("nf_conn", "zone.id") else np.zeros(len(entry))
    return Connections(
        entry=entry,
        net=kernel.pointer(entry, "nf_conn", "ct_net.net"),
        zone=zone.astype(np.int64),
        protocol=protocol,
        original=[_tuple(raw[0]) for raw in tuples],
        reply=[_tuple(raw[1]) for raw in tuples],
        status=kernel.read(entry, "nf_conn", "status").astype(np.int64),
        state=np.where(protocol == socket.IPPROTO_TCP, state, -1),
        timeout=_timeouts(kernel, entry, ended),
        packets=np.concatenate((packets, unknown)),
        bytes=np.concatenate((count, unknown)),
        start=np.concatenate((_extension(kernel, live, "TSTAMP", 1)[:, 0], unknown)),
        ended=ended,
    )


def _tuple(raw: NDArray[np.uint8]) -> Tuple:
    family = int(raw[_FAMILY])
    size = _LENGTHS[socket.AddressFamily(family)]
    source, destination = (
        socket.inet_ntop(family, raw[where : where + size].tobytes()) for where in (_SOURCE, _DESTINATION)
    )
    ports = (int.from_bytes(raw[where : where + 2].tobytes(), "big") for where in (_SOURCE_PORT, _PORT))
    return Tuple(source, next(ports), destination, next(ports))


def _timeouts(kernel: Kernel, entry: U64, ended: Bools) -> list[int | None]:
    """timeout is the jiffy of the end, 32 bits of it (f330a7fdbe16, 4.9)."""
    tick, now = jiffies.tick(kernel), jiffies.jiffies(kernel)
    if tick is None or now is None:
        return [None] * len(entry)
    left = (kernel.read(entry, "nf_conn", "timeout").astype(np.int64) - (now & 0xFFFF_FFFF)) & 0xFFFF_FFFF
    left = np.where(left >= _FOREVER, left - (1 << 32), left)
    return [None if gone else int(value) * tick for value, gone in zip(left, ended, strict=True)]


def _account(kernel: Kernel, entry: U64) -> tuple[I64, I64]:
    """(packets, bytes) of both directions: struct nf_conn_acct is {packets, bytes} twice, and in no BTF but the
    module's."""
    counters = _extension(kernel, entry, "ACCT", 4)
    known = counters[:, 0] >= 0
    return np.where(known, counters[:, 0] + counters[:, 2], -1), np.where(known, counters[:, 1] + counters[:, 3], -1)


def _extension(kernel: Kernel, entry: U64, name: str, words: int) -> I64:
    """int64[n, words] of an extension that entries may have, -1 where they have not."""
    number = (kernel.types.enum("nf_ct_ext_id") or {}).get(f"NF_CT_EXT_{name}")
    values = np.full((len(entry), words), -1, np.int64)
    if number is None or not kernel.types.has("nf_ct_ext", "offset") or not len(entry):
        return values
    extension = kernel.pointer(entry, "nf_conn", "ext", gap=False)
    offset = kernel.read(extension, "nf_ct_ext", "offset")
    have = (extension != 0) & (offset[:, number] != 0)
    where = extension[have] + offset[have, number].astype(np.uint64)
    raw, ok = kernel.read_bytes(where, 8 * words)
    kernel.count_unread("conntrack counters", where, ok)
    values[np.flatnonzero(have)[ok]] = raw[ok].view("<i8")
    return values
