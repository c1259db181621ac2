# SPDX-License-Identifier: Apache-2.0
"""The table `secrets`, and that clear values are in no file of a case but one."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memir.gaps import Gaps
from memir.hunt.secrets import TABLE, looked_for_beside, row_of, rows_of_hits
from memir.image.open import open_image
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.kube.secrets import Secrets
from memir.kube.snapshot import load_cluster
from memir.symbols.locate import locate
from tests.findings.real import NODE, on_the_node
from tests.images import case
from tests.planted import PASSWORD, planted


def test_rows_have_no_values_and_whose_they_are(tmp_path: Path) -> None:
    with open_image(planted(tmp_path / "node.raw")) as memory:
        source = RamSource(Kernel(memory, locate(memory)))
        source.secret_key = bytes(32)
        rows = TABLE.read(source).rows()
        recorded = case("s-6.1-small").recorded()
    want = {
        pid for pid, truth in recorded.items() if any(one.startswith("AWS_ROLE_ARN=") for one in truth.environ or [])
    }
    held = {row["pid"]: row for row in rows if row["holder"] == "environ"}
    assert set(held) == want
    fingerprint = Secrets(bytes(32)).fingerprint("password", PASSWORD)
    assert {(row["kind"], row["name"], row["fingerprint"], row["gain"]) for row in rows} == {
        ("password", "DB_PASSWORD", fingerprint, "data")
    }
    assert {row["pod_name"] for row in held.values()} == {"web-7d4b9c6f5-abcde", "miner-0", "agent-x9z2k"}
    assert all(row["copies"] >= 1 for row in held.values()), "its value is looked for in all RAM"
    assert source.secrets.values == {fingerprint: PASSWORD} and PASSWORD not in str(rows)


def test_looked_for_beside_other_tables(tmp_path: Path) -> None:
    """The same rows and gaps as one after the other; one that nobody asks for leaves nothing behind."""
    with open_image(planted(tmp_path / "node.raw")) as memory:
        anchors = locate(memory)

        def source() -> RamSource:
            found = RamSource(Kernel(memory, anchors, Gaps()))
            found.secret_key = bytes(32)
            return found

        alone, beside, given_up = source(), source(), source()
        rows = TABLE.read(alone).rows()
        with looked_for_beside(beside):
            _ = beside.sockets
            assert TABLE.read(beside).rows() == rows
            assert TABLE.read(beside).rows() == rows, "asked for again, it is looked for again"
        with looked_for_beside(given_up):
            pass
        assert not any(thread.name.startswith("secrets") for thread in threading.enumerate())
        assert TABLE.read(given_up).rows() == rows
    assert len(rows) > 3
    assert list(alone.gaps) == list(beside.gaps)


def test_a_node_without_secrets_has_the_table(node_of: Callable[[str], RamSource]) -> None:
    assert TABLE.read(node_of("s-6.1-small")).rows() == []


def token(**claims: Any) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "x"}, claims)
    ]
    return ".".join([*parts, "c2lnbmF0dXJlLWJ5dGVz"])


def test_tokens() -> None:
    clock = 1795471962272000000
    secrets = Secrets(bytes(32))
    text = token(aud=["sts.amazonaws.com", 7], exp=1795475562, iat=1795471900, sub="a:b")
    (secret,) = secrets.text(text)[1]
    row = row_of(secret, clock)
    assert row["kind"] == "token" and row["audience"] == ["sts.amazonaws.com"] and row["valid"] is True
    assert json.loads(row["claims"])["sub"] == "a:b"
    assert datetime.fromtimestamp(row["expires"] / 1e6, UTC).isoformat() == "2026-11-23T23:12:42+00:00"
    for claims, when, valid in (
        ({"exp": 1795471962}, clock, False),
        ({"exp": 1795471963}, clock, True),
        ({"exp": 1795479999, "nbf": 1795471999}, clock, False),
        ({"exp": 1 << 60}, clock, None),
        ({"exp": "soon"}, clock, None),
        ({"exp": 1795471963}, None, None),
    ):
        secret = secrets.add("token", None, token(pad="x" * 9, **claims))
        assert row_of(secret, when).get("valid") is valid
    assert "claims" not in row_of(secrets.add("password", "P", "hunter2"), clock)


def test_facts_beside_a_key_say_when_it_ends() -> None:
    secret = Secrets(bytes(32)).add("aws secret key", "ASIAQNZGKIQY56JQ7WML", "s" * 40)
    for when, valid in (("2026-11-23T22:12:43Z", True), ("2026-11-23T22:12:42Z", False), ("soon", None)):
        row = row_of(secret, 1795471962272000000, None, {"expiration": when})
        assert (row["gain"], row.get("valid")) == ("cloud", valid), when
    assert json.loads(row["claims"]) == {"expiration": "soon"}


@pytest.fixture(scope="module")
def of_the_node(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The table of node-6.1 with what its API server had."""
    image, folder = case(NODE), tmp_path_factory.mktemp("cluster")
    for kind in ("pods.json", "cluster.json"):
        (folder / kind).write_bytes(image.beside(kind).read_bytes())
    with image.open() as memory:
        return TABLE.read(RamSource(Kernel(memory, locate(memory)), load_cluster(folder))).rows()


@on_the_node
def test_every_token_that_the_api_server_gave_is_there(of_the_node: list[dict[str, Any]]) -> None:
    issued = {}
    with gzip.open(case(NODE).beside("audit.log.gz"), "rt") as log:
        for line in log:
            event = json.loads(line)
            mark = event.get("annotations", {}).get("authentication.kubernetes.io/issued-credential-id")
            if mark:
                issued[mark.removeprefix("JTI=")] = tuple(event["requestURI"].split("/")[4:7:2])
    pods = {pod["metadata"]["uid"]: pod for pod in json.loads(case(NODE).beside("pods.json").read_bytes())["items"]}
    tokens = {row["fingerprint"]: (row, json.loads(row["claims"])) for row in of_the_node if row["kind"] == "token"}
    assert len(issued) == 8 and len({claims["jti"] for _, claims in tokens.values()}) == len(tokens)
    for row, claims in tokens.values():
        namespace, name = issued[claims["jti"]]
        assert row["subject"] == f"system:serviceaccount:{namespace}:{name}"
        assert pods[row["issued_to"]]["spec"]["serviceAccountName"] == name and row["valid"] is True
    running = {uid for uid, pod in pods.items() if pod["status"]["phase"] == "Running"}
    assert {row["issued_to"] for row, _ in tokens.values()} == running, "the token of each pod that runs"


@on_the_node
def test_what_they_open(of_the_node: list[dict[str, Any]]) -> None:
    role = "arn:aws:iam::111122223333:role/shop-api"
    cloud = [row for row in of_the_node if row["gain"] == "cloud"]
    assert {(row["audience"][0], row["role"], row["opens"][0]) for row in cloud} == {
        ("sts.amazonaws.com", role, f"IAM role {role}, by AssumeRoleWithWebIdentity")
    }
    assert of_the_node[: len(cloud)] == cloud, "what leads furthest comes first"
    assert {(row["holder"], row["pod_name"], row["pid"]) for row in cloud} == {
        ("file", "api-8489696577-l7df2", None), ("memory", None, 351),
    }  # fmt: skip
    (kubelet,) = (row for row in of_the_node if row["gain"] == "node")
    name = "system:node:ip-10-0-1-23.ec2.internal"
    assert (kubelet["kind"], kubelet["name"], kubelet["subject"], kubelet["pid"]) == ("private key", name, name, 351)
    assert kubelet["valid"] is True and kubelet["opens"][0].startswith("the node ip-10-0-1-23.ec2.internal: ")
    others = [row for row in of_the_node if row["kind"] == "token" and row["gain"] != "cloud"]
    assert {row["gain"] for row in others} == {"none"}, "no binding of this cluster names its service accounts"


@on_the_node
def test_a_password_and_all_who_hold_it(of_the_node: list[dict[str, Any]]) -> None:
    rows = [row for row in of_the_node if row["kind"] == "password"]
    assert len({row["fingerprint"] for row in rows}) == 1
    places = {(row["holder"], row["pod_name"], row["pid"]) for row in rows}
    api = "api-8489696577-l7df2"
    assert {("environ", api, 895), ("env", api, None), ("file", api, None), ("file", None, None)} <= places
    comms = {truth.pid: truth.comm for truth in case(NODE).recorded().values()}
    holders = {comms[pid] for holder, _, pid in places if holder == "memory" and pid is not None}
    assert holders == {"containerd", "kubelet", "containerd-shim"}


def test_rows_of_hits_are_one_a_secret_rule_and_owner() -> None:
    secrets = Secrets(bytes(32))
    secret = secrets.add("key", None, "k" * 40)
    owner: dict[str, Any] = {
        "container_id": "c", "container_name": "n", "pod_uid": "u", "pod_name": "p", "namespace": "ns", "pid": 7,
        "owner": "process", "rule": "R",
    }  # fmt: skip
    hits = [
        {**owner, "hit_id": "1"},
        {**owner, "hit_id": "2"},
        {**owner, "hit_id": "3", "pid": 8},
        {**owner, "hit_id": "4"},
    ]
    rows = rows_of_hits(hits, {"1": secret, "2": secret, "3": secret}, None)
    assert [(row["pid"], row["holder"], row["source"], row["pod_name"]) for row in rows] == [
        (7, "hit", "rule R: process", "p"), (8, "hit", "rule R: process", "p"),
    ]  # fmt: skip
    assert {row["fingerprint"] for row in rows} == {secret.fingerprint}
