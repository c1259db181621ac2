# SPDX-License-Identifier: Apache-2.0
"""The table `secrets`, and that clear values are in no file of a case but one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memir.image.open import open_image
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.kube.secrets import Secrets
from memir.symbols.locate import locate
from memir.tables.secrets import TABLE, row_of, rows_of_hits
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
    assert {(row["kind"], row["name"], row["fingerprint"]) for row in rows} == {
        ("password", "DB_PASSWORD", fingerprint)
    }
    assert {row["pod_name"] for row in rows} == {"web-7d4b9c6f5-abcde", "miner-0", "agent-x9z2k"}
    assert source.secrets.values == {fingerprint: PASSWORD} and PASSWORD not in str(rows)


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
