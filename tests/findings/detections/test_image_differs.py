# SPDX-License-Identifier: Apache-2.0
"""Containers that run another image than the API asked for."""

from __future__ import annotations

import pytest

from memir.findings.detections.image_differs import same_image
from tests.findings.real import INTRUDED, SMALL, after, kind, node

KIND = "image-differs"
DIGEST, OTHER = "@sha256:" + "a" * 64, "@sha256:" + "b" * 64


def test_another_name_and_another_digest() -> None:
    (api,) = (row for row in node(INTRUDED)[0]["containers"].to_pylist() if row["container_name"] == "api")
    subject = {"subject": f"container:{api['container_id']}", "field": "image", "witness": "API"}
    (row,) = after(INTRUDED, KIND, "claims", subject, value="registry.example/shop/app:1.4.3")
    assert (row["severity"], row["pod_name"], row["container_name"]) == ("medium", "api-58f6c9d7b4-q8xkz", "api")
    assert row["title"].endswith("by its metadata, and the API asked for registry.example/shop/app:1.4.3")
    assert after(INTRUDED, KIND, "claims", subject, value="registry.example/shop/app:1.4.2") == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("nginx", "docker.io/library/nginx:latest", True), ("a/b:1", "docker.io/a/b:1", True),
        ("a/b:1", "a/b:2", False), ("r.example:5000/a:1", "r.example:5000/a:1", True),
        (f"a/b:1{DIGEST}", f"docker.io/a/b{DIGEST}", True), (f"a/b{DIGEST}", f"a/b{OTHER}", False),
        ("r.example/a", "a", False),
    ],
)  # fmt: skip
def test_same_image(one: str, other: str, same: bool) -> None:
    assert same_image(one, other) is same


def test_digests_that_differ_are_high() -> None:
    claims = {"field": "image", "witness": "API", "container_name": "api"}
    rows = after(INTRUDED, KIND, "claims", claims, value=f"registry.example/shop/app:1.4.2{DIGEST}")
    assert [row["severity"] for row in rows] == ["medium"], "the runtime names no digest"


def test_not_there() -> None:
    assert kind(INTRUDED, KIND) == kind(SMALL, KIND) == []
