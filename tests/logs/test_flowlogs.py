# SPDX-License-Identifier: Apache-2.0
"""The table flowlogs, from text."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.findings.real import INTRUDED, node
from tests.logs.made import FLOW, V5, gaps, rows, written


def test_with_a_header(tmp_path: Path) -> None:
    path = written(
        tmp_path, "a", V5, f"{FLOW} 10.244.0.3 198.51.100.77 19 vpc-1 egress",
        "5 111122223333 eni-0a1b - - - - - - - 1795472870 1795472930 - NODATA - - - vpc-1 -", V5, "a torn line",
    )  # fmt: skip
    flow, none = rows(path, "flowlogs")
    assert {name: value for name, value in flow.items() if value is not None} == {
        "time": datetime(2026, 11, 23, 22, 27, 50, tzinfo=UTC), "end": datetime(2026, 11, 23, 22, 28, 50, tzinfo=UTC),
        "account": "111122223333", "interface_id": "eni-0a1b", "src": "10.244.0.3", "src_port": 40000,
        "dst": "198.51.100.77", "dst_port": 443, "srcaddr": "10.0.2.15", "dstaddr": "198.51.100.77", "protocol": 6,
        "packets": 10, "bytes": 5000, "action": "ACCEPT", "status": "OK", "direction": "egress", "tcp_flags": 19,
        "version": 5, "fields": ["vpc-id=vpc-1"], "log": str(path), "line": 2, "source": "VPC flow logs",
    }  # fmt: skip
    assert (none["status"], none["src"], none["bytes"]) == ("NODATA", None, None)
    assert gaps(path) == {"lines of no format that memir reads": 1}


def test_without_a_header(tmp_path: Path) -> None:
    path = written(
        tmp_path, "a", "2 123456789010 eni-1235b8ca1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 "
        "1418530070 REJECT OK", f"2026-11-23T22:28:00Z {FLOW.replace('5 1', '2 1', 1)}",
        "2 123456789010 eni-1235b8ca1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 now "
        "1418530070 REJECT OK",
    )  # fmt: skip
    assert [(row["src"], row["dst_port"], row["action"], row["line"]) for row in rows(path, "flowlogs")] == [
        ("172.31.16.139", 22, "REJECT", 1), ("10.0.2.15", 443, "ACCEPT", 2),
    ]  # fmt: skip
    assert gaps(path) == {"lines of no format that memir reads": 1}


def test_whose_they_are(tmp_path: Path) -> None:
    tables = node(INTRUDED)[0]
    every = tables["pod_ips"].to_pylist()
    address, name = next((row["address"], row["pod_name"]) for row in every if row["pod_name"])
    path = written(tmp_path, "a", f"{V5}", f"{FLOW} {address} 198.51.100.77 19 vpc-1 egress",
                   f"{FLOW} 192.0.2.1 {address} 19 vpc-1 ingress",
                   f"{FLOW} 192.0.2.1 192.0.2.2 19 vpc-1 -")  # fmt: skip
    assert [row["pod_name"] for row in rows(path, "flowlogs", tables.get)] == [name, name, None]
