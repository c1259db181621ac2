# SPDX-License-Identifier: Apache-2.0
"""A program that the kernel itself starts, as root of the node, which is not the one that it should be."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look

_SQL = """
    select * from hooks where judgement in ('unexpected', 'review') and kind in ('core_pattern', 'modprobe_path')
"""


def _find(look: Look) -> Iterator[Match]:
    for hook in look.ask(_SQL):
        yield Match(
            "high" if hook["judgement"] == "unexpected" else "low", hook["why"] or "the table hooks says no more",
            f"{hook['kind']} is {short(hook['value'])}",
            {}, (Proof("hooks", f"kind = '{hook['kind']}'"),), (hook["value"] or "").lstrip("|").split(" ")[0] or None,
        )  # fmt: skip


DETECTION = Detection(
    kind="usermode-helper",
    title="Program that the kernel starts as root of the node",
    how="core_pattern or modprobe_path is one that the table hooks calls unexpected (high) or rare (low).",
    technique="T1611",
    tables=("hooks",),
    find=_find,
    why="Who writes there from a container has a crash or an unknown file format run a program on the node, as root.",
    check_next=("the program at that path: on the node, and in each container's own files",
                "who may write /proc/sys: privileged pods"),
    benign=("systemd-coredump, apport, and collectors of core files",),
    missed=("release_agent of cgroup v1, uevent_helper, binfmt_misc", "a path that was put back"),
    gaps=("hook",),
    also_known=("GuardDuty: PrivilegeEscalation:Runtime/CGroupsReleaseAgentModified",),
)  # fmt: skip
