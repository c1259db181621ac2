# SPDX-License-Identifier: Apache-2.0
"""Tokens of pods that were used from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.findings.real import INTRUDED, NODE, on_the_node
from tests.findings.with_logs import over, pod_of, real_log
from tests.logs.made import audit, token_user, written

KIND, API = "token-elsewhere", "api-58f6c9d7b4-q8xkz"
OWN, OTHER, KUBELET, ABROAD = "10.0.1.103", "10.0.1.102", "192.0.2.10", "45.155.205.233"
"""Addresses: the pod's, miner-0's, this node's as the API server sees it, somebody's."""


def _asked(address: str, verb: str = "list", **more: Any) -> dict[str, Any]:
    user = token_user("shop:api", "abc", (API, pod_of(API)["pod_uid"]))
    return audit(verb, sourceIPs=[address], user=user, objectRef={"resource": "secrets"}, **more)


def _kubelet() -> dict[str, Any]:
    return audit(user={"username": f"system:node:{pod_of(API)['node']}"}, sourceIPs=[KUBELET])


def test_there(tmp_path: Path) -> None:
    log = written(tmp_path, "a", _kubelet(), _asked(OWN), _asked(ABROAD), _asked(ABROAD, "get"), _asked(OTHER),
                  _asked("10.9.9.9"), _asked("x' or 'y"))  # fmt: skip
    rows = {row["title"].split(" was used from ")[1].split(":")[0]: row for row in over(INTRUDED, [log], KIND)}
    assert {address: row["severity"] for address, row in rows.items()} == {
        ABROAD: "high", OTHER: "medium", "10.9.9.9": "medium", "x' or 'y": "medium",
    }  # fmt: skip
    row = rows[ABROAD]
    assert (row["pod_name"], row["evidence"]) == (API, [{"table": "audit", "key": f"log = '{log}' and line = 3"}])
    assert row["title"].endswith(f"from {ABROAD}: 2 requests, get secrets, list secrets")
    assert rows[OTHER]["reason"] == "the address is that of another pod of this node: miner-0"


def test_not_there(tmp_path: Path) -> None:
    """The pod itself, the node that asks for it, tokens of other pods, users with certificates."""
    other = audit(user=token_user("shop:api", "abc", ("x", "11111111-2222-3333-4444-555555555555")), sourceIPs=[ABROAD])
    log = written(tmp_path, "a", _kubelet(), _asked(OWN), _asked(KUBELET), _asked("127.0.0.1"), other,
                  audit(sourceIPs=[ABROAD]))  # fmt: skip
    assert over(INTRUDED, [log], KIND) == []


NAT, SECOND = "203.0.113.9", "miner-0"


def _of(pod: str, address: str, times: int = 1) -> list[dict[str, Any]]:
    user = token_user("shop:api", f"id-{pod}", (pod, pod_of(pod)["pod_uid"]))
    return [audit("list", sourceIPs=[address], user=user, objectRef={"resource": "pods"})] * times


def test_the_way_out_of_the_cluster_is_not_elsewhere(tmp_path: Path) -> None:
    """Through a NAT gateway that the kubelet does not use; one token is used from abroad, too."""
    log = written(tmp_path, "a", _kubelet(), *_of(API, NAT, 3), *_of(SECOND, NAT, 2), *_of(API, ABROAD))
    rows = over(INTRUDED, [log], KIND)
    assert [(row["severity"], row["pod_name"]) for row in rows] == [("high", API), ("info", None)]
    assert rows[0]["title"].split(" was used from ")[1].startswith(ABROAD)
    assert rows[1]["title"] == (
        f"2 of 2 pods of this node that ask the API ask mostly from {NAT}: taken for their way out "
        "(a NAT gateway, a proxy)"
    )
    # one token alone makes no way out, nor does an address that is nobody's most used
    alone = written(tmp_path, "b", _kubelet(), *_of(API, ABROAD, 3))
    assert [row["severity"] for row in over(INTRUDED, [alone], KIND)] == ["high"]
    both = written(tmp_path, "c", *_of(API, OWN, 3), *_of(SECOND, OTHER, 3), *_of(API, ABROAD), *_of(SECOND, ABROAD))
    assert [row["severity"] for row in over(INTRUDED, [both], KIND)] == ["high", "high"]


@on_the_node
def test_not_on_the_node() -> None:
    assert over(NODE, [real_log(NODE)], KIND) == []
