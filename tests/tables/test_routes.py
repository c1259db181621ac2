# SPDX-License-Identifier: Apache-2.0
"""Routes as /proc/net/fib_trie and route listed them in every namespace; of IPv6 those that addresses bring along."""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from collections.abc import Callable
from typing import Any

from memir.kube.ram import RamSource
from memir.tables.interfaces import TABLE as INTERFACES
from memir.tables.routes import TABLE, read
from tests.images import case

NodeOf = Callable[[str], RamSource]
Row = dict[str, Any]


def recorded(image: str) -> dict[int, dict[str, str]]:
    """Texts of /proc/net by number of the network namespace; node-6.1 was recorded without routes."""
    if not case(image).small:
        return {}
    raw: Any = case(image).raw_truth()
    return {int(space["netns"][5:-1]): space for space in raw["net"]}


def of_trie(text: str) -> list[tuple[str, str, str]]:
    """(destination, scope, type) of a fib_trie; main and local are shown twice where they share one trie."""
    shown = re.split(r"^[A-Z]\w*.*:\n", text, flags=re.MULTILINE)[1:]
    rows, key = [], ""
    for line in (line for part in dict.fromkeys(shown) for line in part.splitlines()):
        if leaf := re.fullmatch(r" *\|-- ([0-9.]+)", line):
            key = leaf[1]
        elif alias := re.fullmatch(r" +/([0-9]+) (\w+) (\w+)", line):
            rows.append((f"{key}/{alias[1]}", alias[2], alias[3].lower()))
    return sorted(rows)


def of_route(text: str) -> list[tuple[str, str, str | None, int]]:
    """(interface, destination, gateway, metric) of /proc/net/route: the main table."""
    rows = []
    for parts in (line.split() for line in text.splitlines()[1:]):
        there, via, mask = (struct.pack("<I", int(parts[column], 16)) for column in (1, 2, 7))
        bits = int.from_bytes(mask, "big").bit_count()
        gateway = socket.inet_ntoa(via) if int(parts[3], 16) & 2 else None
        rows.append((parts[0], f"{socket.inet_ntoa(there)}/{bits}", gateway, int(parts[6])))
    return sorted(rows, key=repr)


def test_ipv4(image: str, node_of: NodeOf) -> None:
    """Every route of /proc is there with its values, and none is added."""
    rows = [row for row in TABLE.read(node_of(image)).rows() if row["family"] == "inet"]
    truth = recorded(image)
    for space, files in truth.items():
        own = [row for row in rows if row["net_ns"] == space]
        assert sorted((row["destination"], row["scope"], row["type"]) for row in own) == of_trie(files["fib_trie"])
        main = [row for row in own if row["table"] == "main" and row["type"] not in ("broadcast", "multicast")]
        assert sorted(
            ((row["interface"], row["destination"], row["gateway"], row["metric"]) for row in main), key=repr
        ) == of_route(files["route"])
    if truth:
        assert {row["net_ns"] for row in rows} <= set(truth) and len(rows) >= 15
    else:  # the bridge plugin's routes
        pods = [row for row in rows if row["destination"] == "0.0.0.0/0" and row["pod_uid"]]
        assert len(pods) == 5
        assert {(row["gateway"], row["interface"], row["table"]) for row in pods} == {("10.244.0.1", "eth0", "main")}


def test_ipv4_brought_along_by_addresses(image: str, node_of: NodeOf) -> None:
    """Each address of an interface is a local route to itself by that interface, and there are no others."""
    node = node_of(image)
    own = {
        (row["net_ns"], f"{text.split('/')[0]}/32", row["name"])
        for row in INTERFACES.read(node).rows()
        for text in row["ipv4"]
    }
    local = [row for row in TABLE.read(node).rows() if row["family"] == "inet" and row["type"] == "local"]
    hosts = {(row["net_ns"], row["destination"], row["interface"]) for row in local if row["destination"][-3:] == "/32"}
    assert hosts == own
    assert {(row["table"], row["protocol"], row["scope"]) for row in local} == {("local", "kernel", "host")}
    assert all(row["preferred"] for row in local)


def test_ipv6_brought_along_by_addresses(image: str, node_of: NodeOf) -> None:
    """Of each address a local route and one to its network; a multicast one by each interface that has any."""
    node = node_of(image)
    every = [
        (row["net_ns"], ipaddress.IPv6Interface(text), row["name"])
        for row in INTERFACES.read(node).rows()
        for text in row["ipv6"]
    ]
    rows = [row for row in TABLE.read(node).rows() if row["family"] == "inet6"]
    by: dict[str, set[tuple[Any, ...]]] = {}
    for row in rows:
        assert row["scope"] is None
        by.setdefault(row["type"], set()).add((row["net_ns"], row["destination"], row["interface"]))
    assert by["local"] == {(space, f"{address.ip}/128", name) for space, address, name in every}
    assert by["multicast"] == {(space, "ff00::/8", name) for space, _, name in every if name != "lo"}
    networks = {(space, str(address.network), name) for space, address, name in every if name != "lo"}
    main = {row for row in by["unicast"] if row[1] not in ("::/0", "::1/128")}
    assert main == networks
    if image.startswith("node-"):  # announced by the router of QEMU's user network
        default = [row for row in rows if row["destination"] == "::/0"]
        assert [(row["gateway"], row["interface"], row["protocol"]) for row in default] == [("fe80::2", "eth0", "ra")]
    else:
        assert not [row for row in rows if row["gateway"]]


def test_rows_are_unique_and_nothing_is_torn(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    frame = read(node)
    assert len(set(zip(frame["route"], frame["hop"], strict=True))) == len(frame) >= 25
    assert list(frame.keys) == sorted(frame["net_ns"])
    assert not [gap for gap in node.gaps if "rout" in gap.kind]
    assert set(frame["table"]) == {"main", "local"}
