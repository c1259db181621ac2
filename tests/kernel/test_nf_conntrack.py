# SPDX-License-Identifier: Apache-2.0
"""Connections that were written into an image come out as they were; the node's are those of /proc/net/tcp."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.nf_conntrack import DST_NAT, SRC_NAT, Tuple, connections
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import damaged, patched, zeroed
from tests.kernel.conntrack import Entry, planted

NodeOf = Callable[[str], RamSource]
SAMPLES = ("s-5.10-small-v1", "s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")
PLAIN = Entry(("10.0.1.101", 40000, "10.0.2.102", 8080), ("10.0.2.102", 8080, "10.0.1.101", 40000), left=2500)
NATTED = Entry(
    ("10.0.1.101", 40001, "172.20.0.10", 53), ("10.0.2.102", 5353, "10.0.0.7", 61001), protocol=17,
    status=0xE | SRC_NAT | DST_NAT, zone=7, left=-250, counters=(3, 300, 2, 5000), start=1_790_000_000_123_456_789,
)  # fmt: skip
SIX = Entry(("fd00::1", 128, "fd00::2", 0x8000), ("fd00::2", 128, "fd00::1", 0x8100), protocol=58, status=0x8, state=0)
GONE = Entry(("10.0.1.101", 40009, "1.1.1.1", 443), ("1.1.1.1", 443, "10.0.1.101", 40009), status=0x20E, ended=True)


@pytest.mark.parametrize("name", SAMPLES)
def test_what_was_written_comes_out(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    kernel = planted(node, [PLAIN, NATTED, SIX, GONE])
    every = connections(kernel, node.net_namespaces[0], u64)
    assert every is not None and list(kernel.gaps) == []
    assert len(every) == 4
    rows = {ends.source_port: row for row, ends in enumerate(every.original)}
    for entry in (PLAIN, NATTED, SIX, GONE):
        row = rows[entry.original[1]]
        assert every.original[row] == Tuple(*entry.original)
        assert every.reply[row] == Tuple(*entry.reply)
        assert (every.protocol[row], every.status[row], every.zone[row]) == (entry.protocol, entry.status, entry.zone)
        assert every.state[row] == (entry.state if entry.protocol == 6 else -1)
        assert bool(every.ended[row]) == entry.ended
        assert every.net[row] == node.net_namespaces[0][0]
    plain, natted, gone = (rows[entry.original[1]] for entry in (PLAIN, NATTED, GONE))
    # the kernels of the samples have 250 ticks a second
    assert (every.timeout[plain], every.timeout[natted]) == (10_000_000_000, -1_000_000_000)
    assert every.timeout[gone] is None
    assert (every.packets[natted], every.bytes[natted], every.start[natted]) == (5, 5300, 1_790_000_000_123_456_789)
    assert (every.packets[plain], every.bytes[plain], every.start[plain]) == (-1, -1, -1)


def test_without_the_module_nothing_is_followed(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    assert connections(node.kernel, node.net_namespaces[0], lambda: node.modules.module) is None


def test_hostile_tables(node_of: NodeOf) -> None:
    """A chain that loops, a huge table, an entry of no namespace, of no family: counted, and no wrong row."""
    node = node_of("s-6.1-small")
    kernel = planted(node, [PLAIN, NATTED])
    net = node.net_namespaces[0]
    every = connections(kernel, net, u64)
    assert every is not None
    types = kernel.types
    place, table = int(every.entry[0]), kernel.symbols["nf_conntrack_hash"]
    tuples = place + types.offset("nf_conn", "tuplehash")
    loop = tuples.to_bytes(8, "little")
    changes = [
        (tuples, loop, "conntrack table", 2),
        (table + 8, b"\xff\xff\xff\x7f", "conntrack table", 0),
        (place + types.offset("nf_conn", "ct_net.net"), bytes(8), "conntrack entry", 1),
        (tuples + 16 + 18, b"\x63", "conntrack entry", 1),
        (tuples + 16 + 39, b"\x09", "conntrack entry", 1),
        (table, bytes(8), "conntrack table", 0),
    ]
    for address, data, kind, left in changes:
        gaps = Gaps()
        memory = damaged(kernel.memory, patched(kernel.memory, {address - kernel.space.direct_delta: data}), 1 << 22)
        torn = connections(Kernel(memory, kernel.anchors, gaps), net, u64)
        assert torn is not None
        assert set(torn.original) <= set(every.original) and len(torn) == left
        assert {gap.kind for gap in gaps} == {kind}


def test_a_page_that_was_not_read_gives_no_row(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    kernel = planted(node, [PLAIN, NATTED])
    every = connections(kernel, node.net_namespaces[0], u64)
    assert every is not None
    frame = int(every.entry[0]) - kernel.space.direct_delta >> 12
    gaps = Gaps()
    blank = Kernel(damaged(kernel.memory, zeroed([frame])), kernel.anchors, gaps)
    torn = connections(blank, node.net_namespaces[0], u64)
    assert torn is not None and len(torn) == 1
    assert sum(gap.count for gap in gaps if gap.kind == "conntrack entry") == 2  # one a direction
    assert np.isin(torn.entry, every.entry).all()
