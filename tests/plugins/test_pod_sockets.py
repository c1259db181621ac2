# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Listening and connected TCP sockets are those of /proc/net/tcp in every namespace."""

from __future__ import annotations

from memir.kube.ram import RamSource
from tests.plugins.running import SMALL, rows_by_plugin
from tests.tables.test_sockets import of_ip, recorded


def test_pod_sockets(node: RamSource) -> None:
    rows = rows_by_plugin(node, "linux.pod_sockets")
    truth = {(ns, of_ip(line)[:5]) for ns, files in recorded(SMALL).items() for line in files["tcp"]}
    shown = {
        (row["net_ns"], (row["local"], row["local_port"], row["remote"], row["remote_port"], row["state"]))
        for row in rows
        if row["seen_in"] == "tcp" and row["family"] == "inet" and row["state"] != "ended"
    }
    assert truth and shown >= truth
    assert rows_by_plugin(node, "linux.podsockets") == rows
    assert {row["pod_name"] for row in rows} >= {"web-7d4b9c6f5-abcde"}
