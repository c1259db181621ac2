# SPDX-License-Identifier: Apache-2.0
"""Two nodes: rows as their readers make them, of one connection, one token, one program and one indicator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memir.case.across import across
from memir.case.case import Case
from memir.findings.table import TABLE as FINDINGS
from memir.hunt.secrets import TABLE as SECRETS
from memir.tables.conntrack import TABLE as CONNTRACK
from memir.tables.inodes import TABLE as INODES
from memir.tables.processes import TABLE as PROCESSES
from memir.tables.sockets import TABLE as SOCKETS
from tests.case.test_case import ANALYSIS, ONE, SECOND

WEB: dict[str, Any] = {"namespace": "shop", "pod_name": "web", "container_name": "web"}
DB: dict[str, Any] = {"namespace": "data", "pod_name": "db", "container_name": "pg"}


def socket(local: tuple[str, int], remote: tuple[str, int], pid: int, **more: Any) -> dict[str, Any]:
    (la, lp), (ra, rp) = local, remote
    return {"protocol": "tcp", "family": "inet", "state": "ESTABLISHED", "local": la, "local_port": lp, "remote": ra,
            "remote_port": rp, "pid": pid, "sock": lp, **more}  # fmt: skip


def two(tmp_path: Path, one: dict[str, list[dict[str, Any]]], other: dict[str, list[dict[str, Any]]]) -> list[Case]:
    tables = {"sockets": SOCKETS, "conntrack": CONNTRACK, "processes": PROCESSES, "secrets": SECRETS, "inodes": INODES,
              "findings": FINDINGS}  # fmt: skip
    cases = []
    for name, rows, facts in (("a", one, ONE), ("b", other, SECOND)):
        case = Case.create(tmp_path / name)
        case.add_tables({table: tables[table].rows(each) for table, each in rows.items()}, ANALYSIS, facts)
        cases.append(Case(tmp_path / name))
    return cases


def ends(cases: list[Case]) -> list[tuple[Any, ...]]:
    names = ("from_case", "from_pod", "from_pid", "from_port", "to_case", "to_pod", "to_pid", "to_port")
    return [
        tuple(Path(row[name]).name if name.endswith("case") else row[name] for name in names)
        for row in across(cases).connections
    ]


def test_a_connection_seen_from_both_ends(tmp_path: Path) -> None:
    client, server = ("10.0.1.5", 40123), ("10.0.2.6", 5432)
    cases = two(
        tmp_path,
        {"sockets": [socket(client, server, 7, **WEB), socket(client, ("10.9.9.9", 443), 7)],
         "processes": [{"pid": 7, "comm": "web", **WEB}]},
        {"sockets": [socket(("::ffff:10.0.2.6", 5432), ("::ffff:10.0.1.5", 40123), 9, **DB),
                     socket(("10.0.2.6", 5432), ("10.0.1.5", 50000), 9, **DB)],
         "processes": [{"pid": 9, "comm": "postgres", **DB}]},
    )  # fmt: skip
    assert ends(cases) == [("a", "web", 7, 40123, "b", "db", 9, 5432)]
    (row,) = across(cases).connections
    assert (row["from_comm"], row["to_comm"], row["state"]) == ("web", "postgres", "ESTABLISHED")
    assert across(cases).lacking == {str(case.folder): ["conntrack", "secrets", "inodes", "findings"] for case in cases}


def test_a_services_address_and_the_nodes_own(tmp_path: Path) -> None:
    """web asks the service 172.20.0.9:5432; kube-proxy leads it to db on the other node, as the node's own address."""
    client, service, server, node = (
        ("10.0.1.5", 40123),
        ("172.20.0.9", 5432),
        ("10.0.2.6", 5432),
        ("192.168.1.1", 61000),
    )
    names = ("orig_src", "orig_dst", "reply_src", "reply_dst")
    entry: dict[str, Any] = {"protocol": "tcp", "nat": "both"}
    for name, (address, port) in zip(names, (client, service, server, node), strict=True):
        entry |= {name: address, f"{name}_port": port}
    cases = two(
        tmp_path, {"sockets": [socket(client, service, 7, **WEB)], "conntrack": [entry]},
        {"sockets": [socket(server, node, 9, **DB)]},
    )  # fmt: skip
    assert ends(cases) == [("a", "web", 7, 61000, "b", "db", 9, 5432)]


def test_what_lies_on_both(tmp_path: Path) -> None:
    token: dict[str, Any] = {"kind": "token", "fingerprint": "sha256:aa", "subject": "system:serviceaccount:shop:api"}
    people: dict[str, Any] = {"kind": "password", "fingerprint": "hmac:bb", "holder": "environ"}
    program: dict[str, Any] = {"pid": 7, "exe": "/memfd:x", "exe_sha256": "cc", "exe_deleted": True}
    file: dict[str, Any] = {"sha256": "dd", "container_path": "/tmp/x", "change": "created"}
    finding = {
        "id": "k-1",
        "kind": "known-indicator",
        "severity": "high",
        "title": "pid 7 has a.x: known indicator x (f)",
    }
    cases = two(
        tmp_path,
        {"secrets": [token | {"holder": "memory", **WEB}, people], "processes": [program | WEB], "inodes": [file | WEB],
         "findings": [finding | WEB]},
        {"secrets": [token | {"holder": "file", **DB}, people], "processes": [program | DB],
         "inodes": [file | DB, file | {"sha256": "ee"}], "findings": [finding | DB]},
    )  # fmt: skip
    shared = {(row["kind"], row["value"], row["name"]): row for row in across(cases).shared}
    assert set(shared) == {
        ("secret", "sha256:aa", "system:serviceaccount:shop:api"), ("program", "cc", "/memfd:x"),
        ("file", "dd", "/tmp/x"), ("indicator", "x", "pid 7 has a.x: known indicator x (f)"),
    }  # fmt: skip
    places = shared["secret", "sha256:aa", "system:serviceaccount:shop:api"]["places"]
    assert places == [f"{cases[0].folder}: shop/web/web (memory)", f"{cases[1].folder}: data/db/pg (file)"]


def test_loopback_is_each_nodes_own(tmp_path: Path) -> None:
    client, server = ("127.0.0.1", 40123), ("127.0.0.1", 5432)
    assert ends(two(tmp_path, {"sockets": [socket(client, server, 7)]}, {"sockets": [socket(server, client, 9)]})) == []


def test_one_node_twice_has_no_connection_with_itself(tmp_path: Path) -> None:
    client, server = ("10.0.1.5", 40123), ("10.0.1.6", 5432)
    cases = two(tmp_path, {"sockets": [socket(client, server, 7), socket(server, client, 9)]}, {"sockets": []})
    assert ends(cases) == []
