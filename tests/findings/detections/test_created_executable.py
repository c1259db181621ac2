# SPDX-License-Identifier: Apache-2.0
"""Executables that came into a container after its start."""

from __future__ import annotations

from typing import Any

from tests.findings.real import INTRUDED, NODE, SMALL, after, kind, on_the_node

KIND = "created-executable"


def test_there() -> None:
    (row,) = kind(SMALL, KIND)
    assert (row["severity"], row["pod_name"], row["container_name"], row["path"]) == (
        "medium", "miner-0", "miner", "/tmp/dropper",
    )  # fmt: skip
    assert "was created after the container's start, and has been deleted, sha256 d8c2bbd8e976" in row["title"]
    assert {row["path"] for row in kind(INTRUDED, KIND)} == {"/tmp/.x/kworkerds", "/tmp/dropper"}


@on_the_node
def test_on_the_node() -> None:
    """The intruder's program, and none of the 25 mount points and caches that the runtime and Python made."""
    (row,) = kind(NODE, KIND)
    assert (row["pod_name"], row["path"]) == ("api-8489696577-l7df2", "/tmp/.x/kworkerds")


def test_set_user_id_is_high() -> None:
    (row,) = after(SMALL, KIND, "inodes", {"container_path": "/tmp/dropper", "layer": "upper"}, mode=0o4755)
    assert row["severity"] == "high"


def test_not_there() -> None:
    where = {"container_path": "/tmp/dropper", "layer": "upper"}
    assert after(SMALL, KIND, "inodes", where, mode=0o644) == []
    assert after(SMALL, KIND, "inodes", where, noise="bytecode") == []
    assert after(SMALL, KIND, "inodes", where, change=None) == []


def test_on_a_file_system_of_ram() -> None:
    """As /dev/shm and volumes in memory have them: all of it came after the start. Secrets are no programs."""
    where = {"container_path": "/tmp/dropper", "layer": "upper"}
    shm: dict[str, Any] = {"layer": "tmpfs", "change": None, "container_path": "/dev/shm/.k", "node_path": None}
    (row,) = after(SMALL, KIND, "inodes", where, **shm)
    assert (row["severity"], row["pod_name"], row["path"]) == ("medium", "miner-0", "/dev/shm/.k")
    assert "put into a file system of RAM, which began empty, after the container's start" in row["title"]
    volume = "/var/lib/kubelet/pods/U/volumes/kubernetes.io~{}/v/start.sh"
    assert after(SMALL, KIND, "inodes", where, **shm | {"node_path": volume.format("secret")}) == []
    assert len(after(SMALL, KIND, "inodes", where, **shm | {"node_path": volume.format("empty-dir")})) == 1
    assert after(SMALL, KIND, "inodes", where, **shm | {"pod_uid": None}) == [], "the node's own tmpfs"
