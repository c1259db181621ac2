# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Rows of volatility3's plugins have the pod of the socket, inode, mount or namespace that they name, as the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from memir.kube.ram import RamSource
from memir.volatility.pod_columns import POD_COLUMNS, PluginColumn, with_pods
from memir.volatility.run import Host
from tests.plugins.running import SMALL
from tests.rows import rows_of

Rows = list[dict[str, Any]]
WEB, MINER = "web-7d4b9c6f5-abcde", "miner-0"


@pytest.fixture(scope="module")
def source(node_of: Callable[[str], RamSource]) -> RamSource:
    return node_of(SMALL)


@pytest.fixture(scope="module")
def run(source: RamSource) -> Callable[[str], Rows]:
    host = Host(source.kernel.memory, source.kernel.anchors)

    def rows(plugin: str) -> Rows:
        result = host.run(plugin, owners=source.owners)
        assert result.failure is None and result.columns[-4:] == tuple(PluginColumn(x, "string") for x in POD_COLUMNS)
        return result.dicts()

    return rows


def pods(rows: Rows, key: str) -> dict[Any, tuple[Any, ...]]:
    return {row[key]: tuple(row[name] for name in POD_COLUMNS) for row in rows}


def test_namespaces(source: RamSource, run: Callable[[str], Rows]) -> None:
    """ip.Addr, ip.Link and netfilter name a network namespace, mountinfo without pids a mount namespace."""
    table = rows_of(source, "interfaces", "mounts")
    net, mnt = pods(table["interfaces"], "net_ns"), pods(table["mounts"], "mnt_ns")
    for plugin, column, known in (
        ("linux.ip.Addr", "NetNS", net), ("linux.ip.Link", "NS", net), ("linux.malware.netfilter", "Net NS", net),
        ("linux.mountinfo", "MNT_NS_ID", mnt),
    ):  # fmt: skip
        found = pods(run(plugin), column)
        assert found == {number: known[number] for number in found}, plugin
        assert {row[0] for row in found.values()} >= {None, WEB, MINER}, plugin


def test_sockets(source: RamSource, run: Callable[[str], Rows]) -> None:
    """By the socket itself, though the row has a pid too."""
    table = pods(rows_of(source, "sockets")["sockets"], "sock")
    mask = (1 << 48) - 1
    known = {sock & mask: pod for sock, pod in table.items()}
    found = pods(run("linux.sockstat"), "Sock Offset")
    assert found and found == {sock: known[sock & mask] for sock in found}
    assert set(source.owners_by_sock) == set(table)


def test_files_of_the_page_cache(source: RamSource, run: Callable[[str], Rows]) -> None:
    table = {row["address"] & (1 << 48) - 1: row for row in rows_of(source, "inodes")["inodes"]}
    compared = 0
    for row in run("linux.pagecache.Files"):
        known = table.get(row["InodeAddr"] & (1 << 48) - 1)
        if known is not None and known["layer"] == "upper":
            assert tuple(row[name] for name in POD_COLUMNS) == tuple(known[name] for name in POD_COLUMNS)
            compared += known["pod_name"] is not None
    assert compared > 50


def test_which_column_goes_first(source: RamSource) -> None:
    """An object before numbers, and the next where the first is not known; columns of a plugin's own are let be."""
    space = next(row for row in rows_of(source, "namespaces")["namespaces"] if row["pod_name"] == MINER)
    process = next(row for row in rows_of(source, "processes")["processes"] if row["container_name"] == "web")
    columns = (PluginColumn("PID", "int"), PluginColumn("NetNS", "int"), PluginColumn("Offset (V)", "hex"))

    def pod(*cells: Any) -> Any:
        return with_pods(columns, [cells], source.owners, lambda address: address)[1][0][3]

    assert pod(process["pid"], space["inum"], 0) == WEB
    assert pod(999_999, space["inum"], 0) == MINER
    assert pod(1, space["inum"], process["task"]) == WEB
    assert pod(None, "text", True) is None
    own = (PluginColumn("pod_name", "string"), PluginColumn("PID", "int"))
    assert with_pods(own, [("x", 1)], source.owners, int) == (own, [("x", 1)])
    none = (PluginColumn("Name", "string"),)
    assert with_pods(none, [("x",)], source.owners, int) == (none, [("x",)])
