# SPDX-License-Identifier: Apache-2.0
"""The table `claims`: every claim of a real image, and whose it is."""

from __future__ import annotations

from collections.abc import Callable

from memir.kube.ram import RamSource
from memir.tables.table import tables

POD = "bbbbbbbb-2222-4222-8222-0123456789ab"


def test_claims_of_a_node(node_of: Callable[[str], RamSource]) -> None:
    node = node_of("s-6.1-small")
    rows = tables()["claims"].read(node).rows()
    assert len(rows) == len(node.claims)
    miner = next(row.container_id for row in node.containers.values() if row.container_name == "miner")
    of_miner = {(row["field"], row["value"], row["witness"]) for row in rows if row["subject"] == f"container:{miner}"}
    assert {
        ("container_name", "miner", "spec"),
        ("pod_uid", POD, "spec"),
        ("pod_uid", POD, "cgroup"),
        ("host_network", "false", "namespaces"),
    } <= of_miner
    process = next(row.pid for row in node.processes.rows if row.args and row.args[0] == "/app/entry")
    mine = [row for row in rows if row["subject"] == f"process:{process}"]
    assert {(row["field"], row["value"], row["witness"]) for row in mine} >= {
        ("container_id", miner, "cgroup"),
        ("container_id", miner, "mnt_ns"),
        ("pod_uid", POD, "net_ns"),
    }
    assert {(row["pod_name"], row["namespace"], row["container_name"]) for row in mine} == {("miner-0", "dev", "miner")}
    assert {row["pod_name"] for row in rows if row["subject"] == f"pod:{POD}"} == {"miner-0"}
    (name,) = [row for row in rows if row["subject"] == "node"]
    assert (name["witness"], name["believed"], name["pod_uid"], name["document"]) == ("hostname", True, None, None)


def test_what_the_tables_show_is_believed(node_of: Callable[[str], RamSource]) -> None:
    node = node_of("s-6.1-small")
    rows = tables()["claims"].read(node).rows()
    shown = {f"container:{at}": row for at, row in node.containers.items()}
    checked = 0
    for row in rows:
        if row["subject"] in shown and row["field"] in (
            "container_name",
            "pod_uid",
            "pod_name",
            "namespace",
            "runtime",
        ):
            assert row["believed"] == (getattr(shown[row["subject"]], row["field"]) == row["value"])
            checked += 1
    assert checked > 30
