# SPDX-License-Identifier: Apache-2.0
"""Interfaces as /proc/net/dev listed them in every namespace, with their addresses, hardware's and others' ends."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from memir.kube.ram import RamSource
from memir.tables.interfaces import TABLE, read
from tests.images import case

NodeOf = Callable[[str], RamSource]
Row = dict[str, Any]


def recorded(image: str) -> dict[int, tuple[set[str], set[str]]]:
    """By number of the network namespace: names of interfaces, and IPv4 addresses of this host in them."""
    raw: Any = case(image).raw_truth()
    return {
        int(space["netns"][5:-1]): (
            {line.split(":")[0].strip() for line in space["dev"].splitlines()[2:]},
            set(re.findall(r"\|-- ([0-9.]+)\n +/32 host LOCAL", space["fib_trie"])),
        )
        for space in raw.get("net", [])
    } if case(image).small else {}  # fmt: skip


def by_space(rows: list[Row]) -> dict[int, list[Row]]:
    spaces: dict[int, list[Row]] = {}
    for row in rows:
        spaces.setdefault(row["net_ns"], []).append(row)
    return spaces


def slaac(mac: str) -> str:
    """The link-local address that the kernel makes of a hardware address (RFC 4291, appendix A)."""
    raw = bytes.fromhex(mac.replace(":", ""))
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]))


def test_names_and_addresses(image: str, node_of: NodeOf) -> None:
    """No interface of /proc/net/dev is missing, none is added; so with addresses."""
    rows = TABLE.read(node_of(image)).rows()
    spaces, truth = by_space(rows), recorded(image)
    for space, (names, addresses) in truth.items():
        assert {row["name"] for row in spaces[space]} == names
        assert {text.split("/")[0] for row in spaces[space] for text in row["ipv4"]} == addresses
    if truth:
        assert set(spaces) == set(truth) and len(rows) >= 7
    else:
        assert len(spaces) == 7 and len(rows) == 19  # node-6.1: five pods' own, one of a container alone, its own
        assert [row["ipv4"] for row in rows if row["name"] == "cni0"] == [["10.244.0.1/24"]]


def test_hardware_address_fits_the_address_made_of_it(image: str, node_of: NodeOf) -> None:
    """IPv6 lies elsewhere in memory: two witnesses of one address. A bridge takes another one with its first port."""
    rows = [row for row in TABLE.read(node_of(image)).rows() if row["kind"] == "veth"]
    assert len(rows) >= 4
    for row in rows:
        assert row["ipv6"] == [f"{slaac(row['mac'])}/64"]
        assert (row["mtu"], row["state"]) == (1500, "up")
        assert {"up", "broadcast", "multicast"} <= set(row["flags"])
    for row in TABLE.read(node_of(image)).rows():
        if row["name"] == "lo":
            assert (row["index"], row["mtu"], row["mac"]) == (1, 65536, "00:00:00:00:00:00")
            assert (row["flags"][-1], row["kind"], row["peer_index"]) == ("loopback", None, None)
            own = (["127.0.0.1/8"], ["::1/128"]) if "up" in row["flags"] else ([], [])
            assert (row["ipv4"], row["ipv6"]) == own


def test_other_ends(image: str, node_of: NodeOf) -> None:
    """Each veth of the node leads to the eth0 of the pod that has its address."""
    node = node_of(image)
    rows = TABLE.read(node).rows()
    known = {(row["net_ns"], row["index"]): row for row in rows}
    assert len(known) == len(rows)
    host = node.membership.host["net"]
    outer = [row for row in rows if row["kind"] == "veth" and row["net_ns"] == host]
    assert len(outer) >= 2
    for row in outer:
        other = known[row["peer_net_ns"], row["peer_index"]]
        assert (other["name"], other["peer_name"], other["peer_index"]) == ("eth0", row["name"], row["index"])
        # a task of another pod that has entered the namespace makes it shared; whose it is stays what it was
        assert row["peer_pod_uid"] in (other["shared_by"] or [other["pod_uid"]])
        assert row["peer_pod_uid"] is not None
        if row["name"].startswith("eni"):  # as the VPC's CNI names them; here by the first of the pod's UID
            assert row["peer_pod_uid"].startswith(row["name"][3:11])
        assert row["master"] == ("cni0" if row["name"].startswith("veth") else None)
    for pod in case(image).raw_truth().get("pod", ()):
        own = [row for row in rows if f"{pod['ip']}/32" in row["ipv4"]]
        assert all(pod["uid"] in (row["shared_by"] or [row["pod_uid"]]) for row in own)


def test_rows_are_sorted_and_nothing_is_torn(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    frame = read(node)
    order = list(zip(frame["net_ns"], frame["index"], strict=True))
    assert order == sorted(order)
    assert list(frame.keys) == frame["net_ns"]
    assert not [gap for gap in node.gaps if "network device" in gap.kind or "address" in gap.kind]
