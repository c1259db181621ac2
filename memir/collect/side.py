# SPDX-License-Identifier: Apache-2.0
"""From where a pod is looked at: from its node's side, or from beside it where nobody reaches the node.

Each side is a collector that runs there from memory, and what is to be said of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from memir.collect.node_side import BESIDE, MODULES, Request, bundle
from memir.collect.target import Target
from memir.evidence.collected import CollectedGap
from memir.evidence.plan import Check, Trace

LIVE = "nothing was stopped: processes ran on while they were read, so a page and a list may be of different moments"


@dataclass(frozen=True, slots=True)
class Side:
    """The node's. where: for messages. permanent: looking from there leaves what cannot be taken back, so that a dry
    run does not look, and nothing is done while a check fails."""

    where: str = "the node"
    permanent: bool = False

    def bundle(
        self, target: Target, *, memory: bool, rootfs: bool, archives: Mapping[str, str] = MappingProxyType({})
    ) -> bytes:  # fmt: skip
        """The collector and its request."""
        return bundle(Request(target.uid_on_node, target.ids, memory, rootfs, archives), MODULES)

    def may(self, user: int) -> Check:
        """Whether scripts that run as this user id are enough."""
        return Check("root", "ok" if user == 0 else "fail", f"scripts run as user id {user}",
                     "" if user == 0 else "connect as root or with sudo")  # fmt: skip

    def wanted(self, *, memory: bool, rootfs: bool) -> str:
        """What is streamed, in words."""
        words = ["processes, sockets, mounts", *(["each process's memory"] if memory else [])]
        words.append("deleted files, runtime records, log files, writable layers")
        return "; ".join([*words, *(["whole root file systems"] if rootfs else [])])

    def nothing(self, target: Target) -> str:
        """Why there is no process and no container."""
        return f"knows no pod of the UID {target.pod.uid}: is it the node that the pod is on?"

    def lacks(self) -> Sequence[CollectedGap]:
        """What cannot be had from there, with any right."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """What a reader of the evidence has to know."""
        return (LIVE,)

    def leaves(self) -> tuple[str, ...]:
        """What could not be removed."""
        return ()

    def traces(self) -> tuple[Trace, ...]:
        """What the collector leaves."""
        return (
            Trace("RAM", "pages of the collector, some 30 MB while it runs; files it reads enter the page cache"),
            Trace("access times", "of directories that are listed; files are opened without (O_NOATIME)"),
        )


@dataclass(frozen=True, slots=True)
class Beside(Side):
    """A container in the pod. apart: it is one of ours; else a command in one of the pod's own.

    target: the container's id. began: by id, when the API says that it began, in seconds since 1970. shared: every
    container's processes are seen, not the target's alone.
    """

    where: str = "the pod"
    permanent: bool = True
    apart: bool = True
    target: str = ""
    began: tuple[tuple[str, float], ...] = ()
    shared: bool = False
    left: str = ""

    def bundle(
        self, target: Target, *, memory: bool, rootfs: bool, archives: Mapping[str, str] = MappingProxyType({})
    ) -> bytes:  # fmt: skip
        """The collector and its request; checkpoints are of a node."""
        del archives
        more: dict[str, bool | str] = {"apart": self.apart, "target": self.target, "shared": self.shared}
        return bundle(Request(target.uid_on_node, dict(self.began), memory, rootfs), BESIDE, more)

    def may(self, user: int) -> Check:
        """Any user may; what it is refused is counted."""
        words = "it becomes each process's user where it may (SETUID, SETGID)" if user == 0 else (
            "other users' processes show what everyone may see alone"
        )  # fmt: skip
        return Check("user", "ok" if user == 0 else "warn", f"scripts run as user id {user}: {words}")

    def wanted(self, *, memory: bool, rootfs: bool) -> str:
        """What is streamed, in words."""
        words = ["processes, sockets, mounts"]
        words += ["memory of each process that the kernel lets us read without SYS_PTRACE"] if memory else []
        words.append("deleted files, files that changed since the container began, writable mounts")
        return "; ".join([*words, *(["whole root file systems"] if rootfs else [])])

    def nothing(self, target: Target) -> str:
        """Why there is no process."""
        del target
        return "no process of the pod is to be seen: the container shares no PID namespace with it, or it has ended"

    def lacks(self) -> Sequence[CollectedGap]:
        """What cannot be had from within a pod."""
        why = "is on the node, which nobody reaches"
        gaps = [
            CollectedGap("kernel", "RAM, modules, BPF, page cache", "there is no way to the kernel from within a pod"),
            CollectedGap("runtime record", "config.json, state.json", why),
            CollectedGap("log file", "/var/log/pods", f"{why}; the API server's logs are in api/logs"),
            CollectedGap("whiteout", "what was deleted of the image", "the overlay's upper layer " + why),
        ]
        if not self.shared:
            gaps.append(CollectedGap("processes of other containers", "the pod", "the pod shares no PID namespace"))
        return gaps

    def notes(self) -> tuple[str, ...]:
        """What a reader of the evidence has to know."""
        seen = "it was looked at from within the pod: what runs there could see that, and change what it shows"
        own = "the shell and Python that ran are the container's own, and may be the intruder's"
        return (LIVE, seen, *(() if self.apart else (own,)))

    def leaves(self) -> tuple[str, ...]:
        """What could not be removed."""
        return (self.left,) if self.left else ()

    def traces(self) -> tuple[Trace, ...]:
        """What the collector leaves."""
        return (
            Trace("the pod's RAM", "pages of the collector, some 30 MB while it runs, in the pod's memory limit"),
            Trace("the pod's process list", "the collector, while it runs", stays=False),
            Trace("access times", "of directories that are listed, and of files of other users (O_NOATIME is theirs)"),
        )
