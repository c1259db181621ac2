# SPDX-License-Identifier: Apache-2.0
"""The table audit: events of the API server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from memir.logs.audit import read
from memir.logs.source import LogSource
from tests.findings.real import INTRUDED, NODE, node, on_the_node
from tests.images import case
from tests.logs.made import audit, exec_of, gaps, rows, token_user, written

API = "api-58f6c9d7b4-q8xkz"


def test_fields(tmp_path: Path) -> None:
    pod = ("web-0", "11111111-2222-3333-4444-555555555555")
    event = audit(
        "create", "/api/v1/namespaces/shop/serviceaccounts/api/token", user=token_user("shop:web", "abc", pod),
        objectRef={"resource": "serviceaccounts", "namespace": "shop", "name": "api", "subresource": "token"},
        annotations={"authentication.kubernetes.io/issued-credential-id": "JTI=def",
                     "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "RBAC: x"},
        impersonatedUser={"username": "bob"},
    )  # fmt: skip
    (row,) = rows(written(tmp_path, "a", event), "audit")
    assert {name: value for name, value in row.items() if value is not None} == {
        "time": datetime(2026, 11, 23, 22, 27, 43, 20442, UTC),
        "stage_time": datetime(2026, 11, 23, 22, 27, 43, 22511, UTC), "stage": "ResponseComplete",
        "audit_id": "2aa80fb8-715f-4a21-b6a9-29b4366028eb", "verb": "create",
        "user": "system:serviceaccount:shop:web", "groups": ["system:serviceaccounts"], "impersonated": "bob",
        "source_ips": ["203.0.113.7"], "user_agent": "kubectl/v1.34.0", "resource": "serviceaccounts",
        "subresource": "token", "object_namespace": "shop", "object_name": "api",
        "request_uri": "/api/v1/namespaces/shop/serviceaccounts/api/token", "code": 200, "decision": "allow",
        "reason": "RBAC: x", "credential_id": "JTI=abc", "issued_id": "JTI=def", "by_pod": pod[0],
        "by_pod_uid": pod[1], "level": "Metadata", "log": str(tmp_path / "a"), "line": 1,
        "source": "Kubernetes audit log",
    }  # fmt: skip


def test_command_of_an_exec(tmp_path: Path) -> None:
    query = (
        "command=sh&command=-c&command=echo+%22a%2Bb%22+%25&command=%ff%zz&command=--password&command=hunter22"
        "&container=app"
    )
    (row,) = rows(written(tmp_path, "a", exec_of("n", "p", query, "2026-11-23T22:27:43Z", "1")), "audit")
    assert row["command"][:3] == ["sh", "-c", 'echo "a+b" %']
    assert row["command"][4] == "--password"
    assert row["command"][5].startswith("*** (password")
    assert (row["exec_container"], row["code"]) == ("app", 101)
    assert row["request_uri"] == "/api/v1/namespaces/n/pods/p/exec"


def test_sparse_and_odd_ones(tmp_path: Path) -> None:
    path = written(
        tmp_path, "a", {"kind": "Event", "verb": "create", "objectRef": {"resource": "pods"}},
        audit(requestReceivedTimestamp="2022-11-29 00:09:04.38", responseStatus={"code": 1e99}, sourceIPs="x"),
        {"kind": "Event", "apiVersion": "v1", "reason": "Pulled"},
    )  # fmt: skip
    first, second = rows(path, "audit")
    assert (first["verb"], first["time"], first["groups"], first["code"]) == ("create", None, None, None)
    assert second["time"] == datetime(2022, 11, 29, 0, 9, 4, 380000, UTC)
    assert (second["code"], second["source_ips"]) == (None, None)
    assert gaps(path) == {"JSON of no format that memir reads": 1}


def test_whose_they_are(tmp_path: Path) -> None:
    tables = node(INTRUDED)[0]
    (pod,) = [row for row in tables["pods"].to_pylist() if row["pod_name"] == API]
    path = written(
        tmp_path, "a", exec_of(pod["namespace"], API, "command=sh&container=api", "2026-11-23T22:27:43Z", "1"),
        audit(user=token_user("x:y", "z", (API, pod["pod_uid"])), objectRef={"resource": "secrets", "name": "s"}),
        audit(objectRef={"resource": "pods", "namespace": "other", "name": API}),
    )  # fmt: skip
    source = LogSource([path], tables.get)
    asked, made, other = read(source).rows()
    assert (asked["pod_uid"], asked["container_name"]) == (pod["pod_uid"], "api")
    assert asked["container_id"] in {row["container_id"] for row in tables["containers"].to_pylist()}
    assert (made["pod_name"], made["namespace"], made["container_name"]) == (API, pod["namespace"], None)
    assert (other["pod_uid"], other["pod_name"]) == (None, None)


@on_the_node
def test_on_the_node() -> None:
    every = rows(case(NODE).beside("audit.log.gz"), "audit", node(NODE)[0].get)
    assert len(every) == 439
    assert (every[0]["time"], every[-1]["time"]) == (
        datetime(2026, 11, 23, 22, 26, 0, 489725, UTC), datetime(2026, 11, 23, 22, 28, 26, 571570, UTC),
    )  # fmt: skip
    execs = [row for row in every if row["subresource"] == "exec"]
    assert [row["pod_name"] for row in execs] == ["api-8489696577-l7df2"] * 7 + ["toolbox"] * 2
    assert execs[6]["command"] == ["sh", "-c", "export STAGE=2; cat >/dev/null"]
    assert sum(row["issued_id"] is not None for row in every) == 8
