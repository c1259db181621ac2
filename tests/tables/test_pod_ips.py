# SPDX-License-Identifier: Apache-2.0
"""Addresses of pods as rows."""

from __future__ import annotations

from collections.abc import Callable

from memir.kube.ram import RamSource
from memir.tables.pod_ips import TABLE, read

NodeOf = Callable[[str], RamSource]


def test_rows(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    rows = TABLE.read(node).rows()
    assert [(row["address"], row["pod_uid"]) for row in rows] == sorted(
        (one.address, one.pod_uid) for one in node.addresses.pods
    )
    assert len(rows) >= 2
    for row in rows:
        assert (row["witness"], row["source"]) == ("interface", "in_ifaddr")
        assert row["pod_name"] and row["net_ns"] != node.membership.host["net"]
    assert read(node).keys == [row["pod_uid"] for row in rows]
