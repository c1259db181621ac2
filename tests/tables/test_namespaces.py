# SPDX-License-Identifier: Apache-2.0
"""Namespaces as /proc/PID/ns shows them, and who has them."""

from __future__ import annotations

from collections.abc import Callable

from memir.kube.ram import RamSource
from memir.tables.namespaces import COLUMNS, TABLE, read
from tests.damage import rewritten
from tests.images import case

NodeOf = Callable[[str], RamSource]


def test_rows(image: str, node_of: NodeOf) -> None:
    recorded = case(image).recorded()
    rows = {(row["kind"], row["inum"]): row for row in TABLE.read(node_of(image)).rows()}
    alive = {row.pid for row in node_of(image).processes.rows}
    for pid, truth in recorded.items():
        for kind, inum in truth.namespaces.items():
            if inum and pid in alive and any(node_row.pid == pid and node_row.state not in "ZX"
                                             for node_row in node_of(image).processes.rows):  # fmt: skip
                assert pid in rows[kind, inum]["pids"], (pid, kind)
    for (kind, inum), row in rows.items():
        assert row["initial"] == (inum == node_of(image).membership.host[kind])
    assert [key[0] for key in rows] == sorted(key[0] for key in rows)


def test_owner_is_the_one_pod_that_has_it(image: str, node_of: NodeOf) -> None:
    # who is in it is not always whose it is: of one that was broken into
    strangers = case(image).beside("labels.json").is_file() or image == "node-6.1"
    for row in TABLE.read(node_of(image)).rows():
        assert set(row["shared_by"] or [row["pod_uid"]]) - {None} <= set(row["pods"])
        if row["initial"]:  # the node's own is nobody's, though one pod alone may share it
            assert row["pod_uid"] is None
            assert strangers or (row["shared_by"] or []) == row["pods"]
        elif len(row["pods"]) == 1 and row["pod_uid"] is not None:
            assert ([row["pod_uid"]], row["shared_by"]) == (row["pods"], None)
        elif row["pod_uid"] is None:
            assert (row["shared_by"] or []) == row["pods"]
        else:
            assert strangers


def test_frame(node_of: NodeOf) -> None:
    frame = read(node_of("s-6.1-small"))
    assert frame.names == [column.name for column in COLUMNS]
    assert frame.keys == frame["inum"]
    shared = [row for row in TABLE.read(node_of("s-6.1-small")).rows() if row["kind"] == "net" and not row["initial"]]
    assert [row["pod_name"] for row in shared if row["pod_name"]] != []
    assert {row["container_id"] for row in shared if len(row["pids"]) > 1} == {None}  # all containers of the pod


def test_a_thread_that_went_to_another(node_of: NodeOf) -> None:
    """setns() moves a thread alone: its process is then in both. What nobody is in any more is listed still."""
    node = node_of("s-6.12-intruded")
    kernel, threads = node.kernel, node.processes.threads
    before = {(row["kind"], row["inum"]): row for row in TABLE.read(node).rows()}
    host = node.membership.host["net"]
    pids = threads.tgid.tolist()
    row = next(row for row, pid in enumerate(pids) if threads.pid[row] != pid)
    there = next(entry for key, entry in before.items()
                 if key[0] == "net" and key[1] != host and pids[row] not in entry["pids"])  # fmt: skip
    whose = there["pids"]
    proxy = kernel.pointer(threads.task, "task_struct", "nsproxy")
    member = kernel.types.offset("task_struct", "nsproxy")
    other = int(proxy[pids.index(whose[0])]).to_bytes(8, "little")
    moved = rewritten(kernel, {int(threads.task[row]) + member: other})
    after = {(row["kind"], row["inum"]): row for row in TABLE.read(RamSource(moved)).rows()}
    assert after["net", there["inum"]]["pids"] == sorted([*whose, pids[row]])
    assert after.keys() == before.keys()
    everyone = [number for number, pid in enumerate(pids) if pid in whose]
    first = int(proxy[pids.index(1)]).to_bytes(8, "little")
    left = rewritten(kernel, {int(threads.task[number]) + member: first for number in everyone})
    empty = {(row["kind"], row["inum"]): row for row in TABLE.read(RamSource(left)).rows()}["net", there["inum"]]
    assert (empty["pids"], empty["source"]) == ([], "struct net")
