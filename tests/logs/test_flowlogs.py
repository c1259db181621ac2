# SPDX-License-Identifier: Apache-2.0
"""The table flowlogs, from text."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.findings.real import INTRUDED, NODE, node, on_the_node
from tests.findings.with_logs import with_rows
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


_SHORT = ("row_table", "pids", "pod_name", "bytes")


def test_connections_that_memory_has(tmp_path: Path) -> None:
    """By the ends of sockets, in both directions, and by what conntrack has them translated to."""
    address = next(row for row in node(INTRUDED)[0]["pod_ips"].to_pylist() if row["pod_name"])
    owner = {name: address[name] for name in ("pod_uid", "pod_name", "namespace")}
    pod, out = address["address"], "198.51.100.77"
    tables = {
        **node(INTRUDED)[0],
        **with_rows("sockets", {"protocol": "tcp", "local": f"::ffff:{pod}", "local_port": 41000, "remote": out,
                                "remote_port": 443, "pids": [218], "sock": 7, **owner}),
        **with_rows("conntrack", {
            "protocol": "tcp", "orig_src": pod, "orig_src_port": 41000, "orig_dst": out, "orig_dst_port": 443,
            "reply_src": out, "reply_src_port": 443, "reply_dst": "10.0.1.23", "reply_dst_port": 52000, "entry": 9,
        }),
    }  # fmt: skip
    line = "5 1 eni-1 a b {} {} {} 10 {} 1795472870 1795472930 ACCEPT OK {} {} 19 vpc-1 egress"
    path = written(
        tmp_path, "a", V5, line.format(41000, 443, 6, 1, pod, out), line.format(443, 41000, 6, 2, out, pod),
        line.format(52000, 443, 6, 3, "10.0.1.23", out), line.format(52000, 443, 17, 4, "10.0.1.23", out),
        line.format(52001, 443, 6, 5, "10.0.1.23", out),
    )  # fmt: skip
    every = rows(path, "flowlogs", tables.get)
    name = address["pod_name"]
    assert [tuple(row[column] for column in _SHORT) for row in every] == [
        ("sockets", [218], name, 1), ("sockets", [218], name, 2), ("conntrack", [218], name, 3),
        (None, None, None, 4), (None, None, None, 5),
    ]  # fmt: skip
    assert [row["row_key"] for row in every[:3]] == ["sock = 7", "sock = 7", "entry = 9"]


@on_the_node
def test_the_intruders_connection(tmp_path: Path) -> None:
    """The api pod's to the ledger of node-6.1: two pods of the node, so nobody's alone, and the process is known."""
    line = "5 1 eni-1 10.244.0.5 10.244.0.4 33966 7000 6 10 5000 1795472870 1795472930 ACCEPT OK"
    path = written(tmp_path, "a", V5, f"{line} 10.244.0.5 10.244.0.4 19 vpc-1 egress")
    (row,) = rows(path, "flowlogs", node(NODE)[0].get)
    assert (row["row_table"], row["pids"], row["pod_name"], row["bytes"]) == ("sockets", [1215], None, 5000)
