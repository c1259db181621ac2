# SPDX-License-Identifier: Apache-2.0
"""SELinux's contexts of a guest's tasks, every one as its /proc/PID/attr/current showed it."""

from __future__ import annotations

import json

import numpy as np

from memir.kernel.selinux import labels
from memir.kernel.space import u64
from memir.kube.process_facts import confinement
from tests.hunt.hunting import planted
from tests.images import ROOT
from tests.kernel.held import node

NAME = "s-6.1-selinux"


def truth() -> dict[int, str]:
    """Labels by pid, as the guest wrote them (tests/lab/small/selinux.sh)."""
    lines = (ROOT / "samples" / f"{NAME}.labels.txt").read_text().splitlines()
    return {record["pid"]: record["label"] for record in (json.loads(line.removeprefix("@LABEL ")) for line in lines)}


def test_every_task_has_the_context_that_proc_showed() -> None:
    """Types, a level without categories, some, a run of them, and a range; the recorder's last command has ended."""
    source = node(NAME)
    living = source.processes.living
    told = dict(zip([source.pid_of[task] for task in living.tolist()], labels(source.kernel, living), strict=True))
    compared = {pid: label for pid, label in truth().items() if pid in told}
    assert {pid: told[pid] for pid in compared} == compared and len(compared) == len(truth())
    assert set(compared.values()) == {
        "system_u:system_r:kernel_t:s0", "system_u:system_r:spc_t:s0", "system_u:system_r:container_t:s0:c12,c345",
        "system_u:system_r:container_t:s0:c0.c3,c7,c1023", "system_u:system_r:container_runtime_t:s0-s0:c0.c1023",
    }  # fmt: skip
    assert confinement(source)["label"] == labels(source.kernel, living)
    assert not [gap for gap in source.gaps if gap.kind in ("security label", "categories")]


def test_without_a_policy_there_is_the_kernel_s_own_label() -> None:
    """As a kernel shows it that has loaded none."""
    source = node(NAME)
    kernel = source.kernel
    state = u64(kernel.symbols["selinux_state"])
    place = int(kernel.space.physical(kernel.embedded(state, "selinux_state", "policy"))[0][0])
    other = planted(source, {place: bytes(8)}).kernel
    sid_of_kernel = labels(other, source.processes.living[:1])
    assert sid_of_kernel == ["kernel"]
    container = [pid for pid, label in truth().items() if "container_t" in label]
    tasks = np.array([row.task for row in source.processes.rows if row.pid in container], np.uint64)
    assert labels(other, tasks) == [None] * len(container)
    assert [gap.count for gap in other.gaps if gap.kind == "security label"] == [len(container)]


def test_a_hostile_policy_names_nothing() -> None:
    """A table without end and sids beyond it: not known and counted, never another's label."""
    source = node(NAME)
    kernel = source.kernel
    policy = kernel.pointer(u64(kernel.symbols["selinux_state"]), "selinux_state", "policy")
    table = kernel.pointer(policy, "selinux_policy", "sidtab")
    root = kernel.pointers(kernel.embedded(table, "sidtab", "roots"))
    place = int(kernel.space.physical(root)[0][0])
    size = kernel.types.size("sidtab_node_leaf")
    other = planted(source, {place: b"\xff" * size}).kernel
    told = labels(other, source.processes.living)
    assert set(told) == {"system_u:system_r:kernel_t:s0", None}
    assert [gap.count for gap in other.gaps if gap.kind == "security label"] == [told.count(None)]
