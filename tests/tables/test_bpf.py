# SPDX-License-Identifier: Apache-2.0
"""Each container's device program is its own pod's, the rest is systemd's; kernels that load none have no row."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kube.ram import RamSource
from memir.tables.bpf import TABLE, read
from tests.kernel.hooked import IMAGES, free_place
from tests.kernel.test_bpf import planted

NodeOf = Callable[[str], RamSource]


def test_programs_and_their_pods(image: str, node_of: NodeOf) -> None:
    """By the cgroup that each is attached to, against the containers that the table of them has."""
    node = node_of(image)
    rows = TABLE.read(node).rows()
    assert len(rows) == (37 if image == "node-6.1" else 0)
    containers = {row["container_id"]: row for row in rows if row["container_id"]}
    for ident, row in containers.items():
        (attached,) = row["attached"]
        if attached != "cgroup device /system.slice/runc-helper.scope":  # which the intruder started by runc alone
            assert attached.startswith("cgroup device /kubepods.slice/") and ident in attached
        assert (row["type"], row["pod_uid"]) == ("cgroup_device", node.containers[ident].pod_uid)
    if image == "node-6.1":
        assert set(containers) == {ident for ident, row in node.containers.items() if row.state == "running"}
        times = [row["time"] for row in rows]
        assert None not in times and times == sorted(times)
        services = [row for row in rows if row["pids"]]
        assert {(tuple(row["pids"]), row["uid"], row["pod_uid"]) for row in services} == {((1,), 0, None)}
        assert {row["attached"][0].split("/")[1] for row in services if row["attached"]} == {"system.slice"}


@pytest.mark.parametrize("name", IMAGES)
def test_program_that_was_put_there(name: str, node_of: NodeOf) -> None:
    """Every column; its map is in no list, so it has no row of its own."""
    node = planted(node_of(name))
    (row,) = TABLE.read(node).rows()
    assert {name: value for name, value in row.items() if value not in (None, [])} == {
        "kind": "program", "id": 0, "type": "cgroup_device", "name": "steal_secrets", "tag": "0001020304050607",
        "maps": ["7"], "attached": ["cgroup device /"], "address": free_place(node), "source": "struct bpf_prog",
    }  # fmt: skip


@pytest.mark.parametrize("name", IMAGES[:1])
def test_frame_of_nothing(name: str, node_of: NodeOf) -> None:
    frame = read(node_of(name))
    assert (len(frame), frame["kind"], frame["attached"]) == (0, [], [])
