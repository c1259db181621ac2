# SPDX-License-Identifier: Apache-2.0
"""Connections as rows: those of the node as /proc/net/tcp and the sockets have them, and written ones with NAT."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from memir.kernel.nf_conntrack import DST_NAT, SRC_NAT
from memir.kube.ram import RamSource
from memir.tables.conntrack import TABLE, read
from memir.tables.sockets import TABLE as SOCKETS
from tests.images import case, cases
from tests.kernel.conntrack import Entry, planted

NodeOf = Callable[[str], RamSource]
Row = dict[str, Any]
NODES = [name for name, image in cases().items() if image.beside("kallsyms.gz").is_file()]


def connected(image: str, state: str) -> set[tuple[str, int, str, int]]:
    """(address, port, address, port) of IPv4 connections in the node's own /proc/net/tcp."""
    raw: Any = case(image).raw_truth()["tcp"]["net:[4026531840]"]
    lines = [re.split(r"\s+", line.strip()) for line in (raw.splitlines() if isinstance(raw, str) else raw)]
    ends = [(*_end(words[1]), *_end(words[2])) for words in lines if len(words) > 3 and words[3] == state]
    return set(ends)


def _end(text: str) -> tuple[str, int]:
    address, port = text.split(":")
    return socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)


def test_connections(image: str, node_of: NodeOf) -> None:
    """Each established connection of /proc is followed, and none is that neither it nor a socket has."""
    node = node_of(image)
    rows = TABLE.read(node).rows()
    if image not in NODES:
        assert rows == []  # no module
        return
    live = {
        (row["orig_src"], row["orig_src_port"], row["orig_dst"], row["orig_dst_port"])
        for row in rows
        if row["state"] == "ESTABLISHED"
    }
    both = live | {(*ends[2:], *ends[:2]) for ends in live}
    # whoever recorded came by ssh: that connection had gone a second later
    assert {ends for ends in connected(image, "01") - both if 22 not in (ends[1], ends[3])} == set()
    sockets = {
        (unmapped(row["local"]), row["local_port"], unmapped(row["remote"]), row["remote_port"])
        for row in SOCKETS.read(node).rows()
        if row["protocol"] == "tcp" and row["state"] == "ESTABLISHED"
    }
    assert live <= sockets | {(*ends[2:], *ends[:2]) for ends in sockets}
    intruder = next(row for row in rows if row["orig_dst_port"] == 7000)
    assert (intruder["from_name"], intruder["to_name"]) == ("shop/api-8489696577-l7df2", "payments/ledger")
    assert intruder["pod_uid"] is None and len(intruder["shared_by"]) == 2
    assert set(intruder["shared_by"]) == {intruder["from_pod_uid"], intruder["to_pod_uid"]}
    assert {row["state"] for row in rows} == {"ESTABLISHED", "TIME_WAIT", "ended", None}
    assert (len(rows), sum(row["state"] == "ended" for row in rows)) == (18, 2)
    assert all(row["timeout"] is None for row in rows if row["state"] == "ended")
    assert all(0 < row["timeout"] <= 432_000 for row in rows if row["state"] == "ESTABLISHED")
    assert all(0 < row["timeout"] <= 120 for row in rows if row["state"] == "TIME_WAIT")
    assert {row["nat"] for row in rows} == {None} and {row["packets"] for row in rows} == {None}


def unmapped(text: str) -> str:
    """The IPv4 address of an IPv6 socket's end."""
    return text.removeprefix("::ffff:")


def test_translated(node_of: NodeOf) -> None:
    """A pod that asks a service's address: who answers is the pod behind it."""
    node = node_of("s-6.1-small")
    web, other = sorted({(row.address, row.pod_uid) for row in node.addresses.pods})[:2]
    entry = Entry(
        (web[0], 40001, "172.20.0.10", 53), (other[0], 5353, "192.0.2.7", 61001), protocol=17, zone=7,
        status=0xE | SRC_NAT | DST_NAT, left=2500, counters=(3, 300, 2, 5000), start=1_790_000_000_123_456_000,
    )  # fmt: skip
    dead = Entry((web[0], 40009, "1.1.1.1", 443), ("1.1.1.1", 443, web[0], 40009), status=0x20E, ended=True)
    kernel = planted(node, [entry, dead])
    rows = TABLE.read(RamSource(kernel)).rows()
    assert [row["protocol"] for row in rows] == ["tcp", "udp"]
    ended, row = rows
    assert (ended["state"], ended["status"], ended["to_kind"]) == (
        "ended", ["seen_reply", "assured", "confirmed", "dying"], "outside",
    )  # fmt: skip
    assert (ended["pod_uid"], ended["source"]) == (web[1], "struct nf_conn, free slot")
    wanted = {
        "zone": 7, "orig_src": web[0], "orig_src_port": 40001, "orig_dst": "172.20.0.10", "orig_dst_port": 53,
        "reply_src": other[0], "reply_src_port": 5353, "reply_dst": "192.0.2.7", "reply_dst_port": 61001,
        "nat": "both", "state": None, "status": ["seen_reply", "assured", "confirmed"], "timeout": 10, "packets": 5,
        "bytes": 5300, "start_time": datetime.fromtimestamp(1_790_000_000, UTC).replace(microsecond=123_456),
        "from_pod_uid": web[1], "to_pod_uid": other[1], "from_kind": "pod", "to_kind": "pod", "service": None,
        "pod_uid": None, "shared_by": sorted({web[1], other[1]}), "source": "struct nf_conn",
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted
    assert read(RamSource(kernel)).names[:2] == ["net_ns", "zone"]
