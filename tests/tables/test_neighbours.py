# SPDX-License-Identifier: Apache-2.0
"""Neighbours: the hardware address of each is that of the interface that has its address; a group's follows from it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from memir.kube.ram import RamSource
from memir.tables.interfaces import TABLE as INTERFACES
from memir.tables.neighbours import TABLE, read
from tests.images import case

NodeOf = Callable[[str], RamSource]
Row = dict[str, Any]


def of_group(address: str) -> str:
    """The hardware address of a multicast group (RFC 1112, 6.4; RFC 2464, 7)."""
    raw = ipaddress.ip_address(address).packed
    return (b"\x33\x33" + raw[-4:] if len(raw) == 16 else b"\x01\x00\x5e" + bytes([raw[1] & 0x7F]) + raw[2:]).hex(":")


def test_groups(image: str, node_of: NodeOf) -> None:
    """noarp: nobody is asked, the address follows from the group; lo's are zeros."""
    rows = [row for row in TABLE.read(node_of(image)).rows() if row["state"] == "noarp"]
    assert len(rows) >= 10
    for row in rows:
        assert row["mac"] == ("00:00:00:00:00:00" if row["interface"] == "lo" else of_group(row["address"]))
        assert not row["router"]
    assert {row["remote_kind"] for row in rows if row["interface"] != "lo"} == {"multicast"}
    # of IPv4 lo has one entry for all: 0.0.0.0 (arp_constructor)
    assert {row["address"] for row in rows if row["interface"] == "lo"} <= {"0.0.0.0", "::1"}


def test_others(image: str, node_of: NodeOf) -> None:
    """Those that answered: pods' own interfaces, and QEMU's user network, whose address is made of the IP address."""
    node = node_of(image)
    own = {
        text.split("/")[0]: row["mac"]
        for row in INTERFACES.read(node).rows()
        for text in (*row["ipv4"], *row["ipv6"])
        if row["name"] != "lo"
    }
    rows = [row for row in TABLE.read(node).rows() if row["state"] != "noarp"]
    for row in rows:
        assert row["state"] in ("reachable", "stale", "delay", "probe", "permanent", "failed", "incomplete")
        if row["address"] in own:
            assert row["mac"] in (own[row["address"]], None)
    if image.startswith("node-"):
        seen = {(row["pod_name"], row["remote_name"]) for row in rows if row["remote_kind"] == "pod"}
        assert ("ledger", "shop/api-8489696577-l7df2") in seen  # the intruder's connection
        assert [(row["address"], row["mac"], row["router"]) for row in rows if row["interface"] == "eth0"][:3] == [
            ("10.0.2.100", "52:55:0a:00:02:64", False),
            ("10.0.2.2", "52:55:0a:00:02:02", False),
            ("fe80::2", "52:56:00:00:00:02", True),
        ]
        assert len(rows) == 5
    elif not case(image).beside("labels.json").is_file():
        assert rows == []  # the pods of the small images talk to none but themselves


def test_rows_are_unique_and_nothing_is_torn(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    frame = read(node)
    assert len(set(frame["neighbour"])) == len(frame) >= 13
    names = list(zip(frame["net_ns"], frame["interface"], frame["address"], strict=True))
    assert names == sorted(set(names))
    assert list(frame.keys) == frame["net_ns"]
    assert not [gap for gap in node.gaps if "neighbour" in gap.kind]
