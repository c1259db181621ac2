# SPDX-License-Identifier: Apache-2.0
"""Processes with another program's name: the lab's, which set its own by prctl and exec -a; none on ordinary nodes."""

from __future__ import annotations

import pytest

from memir.findings.detect import detect
from memir.findings.facts import facts_of
from memir.tables.table import read_tables
from tests.findings.real import INTRUDED, NODE, SMALL, after, kind, on_the_node
from tests.kernel import held

KIND = "borrowed-name"


def test_there() -> None:
    """Truth: `holder renamed` of samples/s-6.1-held is nginx by prctl; another file lies at the path of its updater."""
    (truth,), (replaced,) = held.truth("renamed"), held.truth("replaced")
    source = held.node()
    tables = {name: frame.to_arrow() for name, frame in read_tables(source, ("processes", "files", "inodes")).items()}
    rows = detect(tables, facts_of(source), (KIND, "deleted-executable")).rows()
    (renamed,) = [row for row in rows if row["kind"] == KIND]
    assert (renamed["pid"], renamed["severity"]) == (truth["pid"], "medium")
    assert truth["args"] in renamed["title"] and "nginx" in renamed["title"]
    (deleted,) = [row for row in rows if row["kind"] == "deleted-executable"]
    assert deleted["pid"] == replaced["pid"]
    assert f"another file lies there now (inode {replaced['path_inode']})" in deleted["title"]
    assert [proof["table"] for proof in deleted["evidence"]] == ["processes", "inodes"]


def test_not_there() -> None:
    """Neither links, multi-call programs, scripts nor titles of services are called so."""
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


@on_the_node
def test_on_the_node() -> None:
    assert kind(NODE, KIND) == []


@pytest.mark.parametrize(
    ("comm", "args", "exe", "severity"),
    [
        ("sshd", ["/app/x"], "/app/x", "medium"),
        ("x", ["sshd: root@pts/0"], "/app/x", "medium"),
        ("x", ["sshd"], "/usr/lib/x", "low"),
        ("x", ["/usr/sbin/x"], "/tmp/x", "medium"),
        ("sshd", ["sshd: root@pts/0"], "/usr/sbin/sshd", None),
        ("systemd-udevd", ["/lib/systemd/systemd-udevd"], "/usr/bin/udevadm", None),
        ("gunicorn: maste", ["gunicorn: master [app]"], "/usr/bin/python3.11", None),
        ("(sshd)", ["/sbin/init"], "/usr/bin/other", None),
        ("php-fpm", ["php-fpm: pool www"], "/usr/sbin/php-fpm8.2", None),
        ("containerd-shim", ["/x/containerd"], "/usr/bin/containerd-shim-runc-v2", None),
        ("worker-1", ["/app/x"], "/app/x", None),
        ("sshd", None, "/app/x", None),
    ],
)  # fmt: skip
def test_names(comm: str, args: list[str] | None, exe: str, severity: str | None) -> None:
    rows = after(SMALL, KIND, "processes", {"pid": 150}, comm=comm, args=args, exe=exe)
    assert [row["severity"] for row in rows if row["pid"] == 150] == ([severity] if severity else [])
