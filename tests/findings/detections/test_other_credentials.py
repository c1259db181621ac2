# SPDX-License-Identifier: Apache-2.0
"""Tokens and keys that lie in a pod and are another's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.findings.real import INTRUDED, Row, after, brief, kind

KIND = "other-credentials"
TOOLBOX, AGENT = "eeeeeeee-5555-4555-8555-0123456789ab", "cccccccc-3333-4333-8333-0123456789ab"
HELD = {"holder": "memory", "pid": 218}
API = ("api-58f6c9d7b4-q8xkz", "api", 218)


def with_token(**changes: Any) -> list[Row]:
    """The token in the api pod's memory as if it were the toolbox pod's."""
    return after(INTRUDED, KIND, "secrets", HELD, **{"issued_to": TOOLBOX, **changes})


def test_a_token_of_another_pod() -> None:
    (row,) = with_token()
    assert brief([row]) == {("medium", *API)}
    assert row["title"] == (
        "pid 218 api (shop/api-58f6c9d7b4-q8xkz/api) has the token of the pod shop/toolbox "
        "(system:serviceaccount:shop:api)"
    )
    assert row["evidence"][0]["table"] == "secrets" and row["technique"] == "T1552"


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"holder": "environ"}, "high"), ({"gain": "cloud", "opens": ["IAM role r"]}, "high"),
        ({"pod_uid": AGENT, "pod_name": "agent-x9z2k"}, "info"), ({"valid": None}, "medium"),
        ({"kind": "private key", "issued_to": None, "gain": "node", "subject": "system:node:n"}, "high"),
    ],
)  # fmt: skip
def test_severities(changes: dict[str, object], severity: str) -> None:
    assert [row["severity"] for row in with_token(**changes)] == [severity]


def test_not_there() -> None:
    assert kind(INTRUDED, KIND) == [], "each token lies in its own pod, or in the node's kubelet"
    assert with_token(valid=False) == with_token(pod_uid=None) == with_token(pod_uid=TOOLBOX) == []
    volume = "/var/lib/kubelet/pods/u/volumes/kubernetes.io~projected/t/token"
    assert with_token(holder="file", path=volume) == []
