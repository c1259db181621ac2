# SPDX-License-Identifier: Apache-2.0
"""Executables that came into a container after its start."""

from __future__ import annotations

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
