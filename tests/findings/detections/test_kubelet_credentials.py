# SPDX-License-Identifier: Apache-2.0
"""Containers that can read the kubelet's credentials."""

from __future__ import annotations

from typing import Any

import pytest

from tests.findings.real import INTRUDED, SMALL, Row, after, kind, node

KIND = "kubelet-credentials"


def led_to(source_path: str, **more: Any) -> list[Row]:
    """A mount of the miner's container as if it were a hostPath."""
    (mount,) = (row for row in node(SMALL)[0]["mounts"].to_pylist()
                if row["container_name"] == "miner" and row["mount_point"] == "/dev" and not row["hidden"])  # fmt: skip
    where = {"mnt_ns": mount["mnt_ns"], "mount_id": mount["mount_id"]}
    return after(SMALL, KIND, "mounts", where, **{"volume_kind": "hostPath", "source_path": source_path, **more})


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/var/lib/kubelet", True), ("/var/lib/kubelet/pki", True), ("/etc/kubernetes", True), ("/root/.kube", True),
        ("/var/lib/kubelet/pods", False), ("/var/log", False), ("/", False),
    ],
)  # fmt: skip
def test_which_paths(path: str, there: bool) -> None:
    rows = led_to(path)
    assert [(row["severity"], row["pod_name"], row["path"]) for row in rows] == (
        [("medium", "miner-0", path)] if there else []
    )


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []
    assert led_to("/var/lib/kubelet", hidden=True) == led_to("/var/lib/kubelet", volume_kind="emptyDir") == []
