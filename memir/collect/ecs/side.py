# SPDX-License-Identifier: Apache-2.0
"""A task seen from within one of its containers: what is to be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memir.collect.side import LIVE, Beside
from memir.evidence.collected import CollectedGap
from memir.evidence.plan import Trace


@dataclass(frozen=True, slots=True)
class TaskSide(Beside):
    """ptrace: whether the task's definition gives the container SYS_PTRACE."""

    where: str = "the task"
    apart: bool = False
    ptrace: bool = False

    def wanted(self, *, memory: bool, rootfs: bool) -> str:
        """What is streamed, in words."""
        words = Beside.wanted(self, memory=memory, rootfs=rootfs)
        return words.replace("without SYS_PTRACE", "with SYS_PTRACE") if self.ptrace else words

    def lacks(self) -> Sequence[CollectedGap]:
        """What cannot be had from within a task."""
        gaps = [
            CollectedGap("kernel", "RAM, modules, BPF, page cache", "there is no way to the kernel from within a task"),
            CollectedGap("node", "image, labels, runtime records", "the container agent's: no way to it from a task"),
            CollectedGap("whiteout", "what was deleted of the image", "the layer is on the host, which is not reached"),
        ]
        if not self.shared:
            why = 'the task definition has no pidMode "task": run it once for each, --container'
            gaps.append(CollectedGap("processes of other containers", "the task", why))
        return gaps

    def notes(self) -> tuple[str, ...]:
        """What a reader of the evidence has to know."""
        return (
            LIVE, "it was looked at from within the task: what runs there could see that, and change what it shows",
            "the Python and the shell that ran are the container's own, and may be the intruder's",
            "ECS Exec's own agent (amazon-ssm-agent, ssm-session-worker) is among the processes and files",
        )  # fmt: skip

    def traces(self) -> tuple[Trace, ...]:
        """What the collector leaves."""
        return (
            Trace("the task's RAM", "pages of the collector, some 30 MB while it runs, in the task's memory limit"),
            Trace("the container's process list", "the collector, while it runs", stays=False),
            Trace("the container's disk", "ECS Exec's agent keeps a file of the session while it runs", stays=False),
            Trace("access times", "of directories that are listed, and of files of other users (O_NOATIME is theirs)"),
        )
