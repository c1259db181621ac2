# SPDX-License-Identifier: Apache-2.0
"""Requests with tokens that lie in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.findings.real import INTRUDED, NODE, node, on_the_node
from tests.findings.with_logs import over, pod_of, process_of, real_log
from tests.logs.made import audit, token_user, written

KIND, API, MINER = "token-in-memory", "api-58f6c9d7b4-q8xkz", "miner-0"
JTI = "1a21377f-004f-4873-b0e8-81c95e088280"


def _secrets(holder: int, *, claims: str | None = None) -> pa.Table:
    """The table secrets with a token of the api pod, which a process holds."""
    pod, process, table = pod_of(API), process_of(holder), node(INTRUDED)[0]["secrets"]
    bound = {"namespace": pod["namespace"], "pod": {"name": API, "uid": pod["pod_uid"]}}
    text = json.dumps({"jti": JTI, "kubernetes.io": bound}) if claims is None else claims
    row: dict[str, Any] = {
        "kind": "token", "fingerprint": "sha256:00", "holder": "environ", "pid": holder, "claims": text,
        **{name: process[name] for name in ("container_id", "container_name", "pod_uid", "pod_name", "namespace")},
    }  # fmt: skip
    return pa.concat_tables([table, pa.Table.from_pylist([row], table.schema)])


def _asked(verb: str, resource: str, jti: str = JTI) -> dict[str, Any]:
    user = token_user("shop:api", jti, (API, pod_of(API)["pod_uid"]))
    return audit(verb, user=user, objectRef={"resource": resource})


def test_another_pod_holds_it(tmp_path: Path) -> None:
    log = written(tmp_path, "a", _asked("list", "pods"), _asked("get", "secrets"))
    (row,) = over(INTRUDED, [log], KIND, secrets=_secrets(240))
    assert (row["severity"], row["pid"], row["pod_name"]) == ("high", 240, MINER)
    assert "holds a token of system:serviceaccount:shop:api (bound to " in row["title"]
    assert row["title"].endswith("2 requests, get secrets, list pods")
    assert row["evidence"] == [
        {"table": "secrets", "key": "fingerprint = 'sha256:00'"},
        {"table": "audit", "key": f"log = '{log}' and line = 1"},
    ]


def test_its_own_pod_holds_it(tmp_path: Path) -> None:
    read = written(tmp_path, "read", _asked("list", "pods"))
    assert [row["severity"] for row in over(INTRUDED, [read], KIND, secrets=_secrets(218))] == ["info"]
    changed = written(tmp_path, "changed", _asked("create", "pods"))
    assert [row["severity"] for row in over(INTRUDED, [changed], KIND, secrets=_secrets(218))] == ["low"]


def test_not_there(tmp_path: Path) -> None:
    """Another token's requests, a token that says nothing, and claims that are no JSON."""
    log = written(tmp_path, "a", _asked("get", "secrets", "another"))
    assert over(INTRUDED, [log], KIND, secrets=_secrets(240)) == []
    same = written(tmp_path, "b", _asked("get", "secrets"))
    for claims in ("{}", "{", "[" * 100_000, json.dumps({"jti": 7})):
        assert over(INTRUDED, [same], KIND, secrets=_secrets(240, claims=claims)) == []


@on_the_node
def test_not_on_the_node() -> None:
    """Its audit log has who was given tokens, and no request with one."""
    assert over(NODE, [real_log(NODE)], KIND) == []
