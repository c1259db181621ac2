# SPDX-License-Identifier: Apache-2.0
"""Programs whose file has been deleted."""

from __future__ import annotations

from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, kind, on_the_node

KIND = "deleted-executable"


def test_there() -> None:
    assert brief(kind(SMALL, KIND)) == {("high", "miner-0", "miner", 190)}
    assert brief(kind(INTRUDED, KIND)) == {
        ("high", "miner-0", "miner", 240), ("high", "api-58f6c9d7b4-q8xkz", "api", 221),
    }  # fmt: skip


@on_the_node
def test_on_the_node() -> None:
    (row,) = kind(NODE, KIND)
    assert (row["severity"], row["pid"], row["path"]) == ("high", 1176, "/tmp/.x/kworkerds")


def test_an_update_is_low() -> None:
    (row,) = after(SMALL, KIND, "processes", {"pid": 190}, exe="/usr/sbin/sshd")
    assert (row["severity"], row["pid"]) == ("low", 190)


def test_not_there() -> None:
    """Neither a file that is still there, nor one of memfd_create, which is a kind of its own."""
    assert after(SMALL, KIND, "processes", {"pid": 190}, exe_deleted=False) == []
