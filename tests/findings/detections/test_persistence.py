# SPDX-License-Identifier: Apache-2.0
"""Files that start programs on the node, changed since it was set up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from memir.tables.inodes import TABLE
from tests.findings.real import INTRUDED, NODE, SMALL, given, kind, node, on_the_node

KIND = "persistence"


def changed(path: str, minutes: float, **more: Any) -> pa.Table:
    """A file of the node whose content is of so many minutes after boot."""
    (boot,) = (row["start_time"] for row in node(SMALL)[0]["processes"].to_pylist() if row["pid"] == 1)
    row = {
        "kind": "regular", "freed": False, "deleted": False, "node_path": path, "layer": "node",
        "inode": 7, "address": 9, "mtime": boot + timedelta(minutes=minutes), **more,
    }  # fmt: skip
    return TABLE.rows([row]).to_arrow()


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/etc/cron.d/x", "cron job"), ("/var/spool/cron/crontabs/root", "cron job"), ("/etc/crontab", "cron job"),
        ("/etc/systemd/system/x.service", "systemd unit"), ("/etc/systemd/system/a.service.d/x.conf", "systemd unit"),
        ("/root/.ssh/authorized_keys", "SSH key"), ("/home/ec2-user/.ssh/authorized_keys", "SSH key"),
        ("/etc/kubernetes/manifests/x.yaml", "static pod"), ("/etc/profile.d/x.sh", "profile script"),
        ("/root/.bashrc", "login script"), ("/etc/ld.so.preload", "loader configuration"),
        ("/etc/pam.d/sshd", "login module"),         ("/etc/sudoers.d/x", "account"), ("/etc/rc.local", "start script"),
        ("/etc/ssh/sshd_config", "SSH configuration"),
    ],
)  # fmt: skip
def test_places(path: str, what: str) -> None:
    (row,) = given(SMALL, KIND, inodes=changed(path, 25))
    assert (row["severity"], row["path"], row["reason"]) == ("medium", path, "changed 0:25:00 after boot")
    assert row["title"] == f"{what} {path} of the node was changed since boot"
    assert row["evidence"] == [{"table": "inodes", "key": "address = 9 and inode = 7"}]


def test_a_node_sets_itself_up() -> None:
    (row,) = given(SMALL, KIND, inodes=changed("/etc/systemd/system/kubelet.service", 2))
    assert (row["severity"], row["reason"][-34:]) == ("info", "as a node does that sets itself up")


def test_not_there() -> None:
    assert [row for row in kind(INTRUDED, KIND) + kind(SMALL, KIND) if row["severity"] != "info"] == []
    for table in (
        changed("/etc/cron.d/x", -5), changed("/etc/hosts", 25), changed("/etc/cron.d/x", 25, kind="directory"),
        changed("/etc/cron.d/x", 25, layer="upper"), changed("/data/etc/cron.d/x", 25),
    ):  # fmt: skip
        assert given(SMALL, KIND, inodes=table) == []


@on_the_node
def test_a_node_that_nobody_changed() -> None:
    assert kind(NODE, KIND) == []
