# SPDX-License-Identifier: Apache-2.0
"""What a container wrote, as it is seen from within: files that changed since it began, and its writable mounts.

Without the node, the overlay's upper layer is nowhere to be seen. But a file's change time (ctime) is set by the kernel
alone: the image's files have that of their unpacking, before the container was begun, and what was made, written or
copied up since has a later one. Whoever changes a file below a directory of the image makes overlayfs copy up every
directory above it (ovl_copy_up), so a directory that is older holds nothing newer. What was deleted is not to be seen.
"""

import os
import stat
import tarfile
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from memir.collect.node.frames import Frames
from memir.collect.node.layer import Layer
from memir.collect.node.overlay import unescape
from memir.collect.node.procfs import read, text

KERNELS = {
    "proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts", "devtmpfs", "securityfs", "debugfs", "tracefs", "bpf",
    "pstore", "configfs", "hugetlbfs", "binfmt_misc", "fusectl", "nsfs", "rpc_pipefs", "efivarfs", "autofs",
}  # fmt: skip
"""File systems that hold the kernel's words, not the pod's."""
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "ceph", "lustre", "9p"}
"""What outlives the pod, and may be of any size."""
MAX_MOUNTS = 10000


class Place(NamedTuple):
    """A mount of a container that may be written to. root: of the file system that it shows."""

    point: str
    fstype: str
    device: str
    root: str


class Changed(Layer):
    """Writes a folder's files whose change time is not before `since`, seconds since 1970; and its directories."""

    def __init__(self, frames: Frames, since: float, fstype: str = "overlay") -> None:
        """fstype: of the root; what is said above of directories holds for an overlay alone."""
        Layer.__init__(self, frames, False)
        self._since, self._copied_up = since, fstype == "overlay"
        self.counts["older"] = 0

    def _entry(
        self, tar: tarfile.TarFile, folder: int, name: str, path: str, facts: os.stat_result, depth: int
    ) -> None:
        if stat.S_ISDIR(facts.st_mode):
            try:
                Layer._entry(self, tar, folder, name, path, facts, depth)
            except PermissionError:
                if facts.st_ctime >= self._since or not self._copied_up:
                    raise
                self.counts["older"] += 1
        elif facts.st_ctime < self._since:
            self.counts["older"] += 1
        else:
            Layer._entry(self, tar, folder, name, path, facts, depth)


def places(pid: str) -> Tuple[Optional[Place], List[Place]]:
    """(the root, the other mounts that may be written to) of a process, by its mount table; the root is None where it
    may not be written to. OSError."""
    top: Optional[Place] = None
    others: Dict[str, Place] = {}
    for row in text(read("/proc/%s/mountinfo" % pid, 64 << 20)).split("\n")[:MAX_MOUNTS]:
        words = row.split(" ")
        split = words.index("-", 6) if "-" in words[6:] else 0
        if not split or len(words) < split + 4:
            continue
        place = Place(unescape(words[4]), words[split + 1], words[2], unescape(words[3]))
        writable = "rw" in words[5].split(",") and "rw" in words[split + 3].split(",")
        if place.point == "/":
            top = place if writable else None
        elif writable and place.fstype not in KERNELS:
            others[place.point] = place
        else:
            others.pop(place.point, None)  # mounted over
    return top, list(others.values())


class Written:
    """Writes what containers wrote into the stream; a volume that several have mounted is written once."""

    def __init__(self, frames: Frames, whole: bool) -> None:
        self._frames, self._whole = frames, whole
        self._done: Set[Tuple[int, int]] = set()

    def container(self, pid: str, root: str, name: str, since: float) -> None:
        """node/containers/NAME/: changed.tar, rootfs.tar if the whole is wanted, volumes/. root: its folder, open."""
        folder = "node/containers/" + (name or "pod")
        try:
            top, others = places(pid)
        except OSError as error:
            self._frames.gap("mount table", "pid " + pid, str(error.strerror), True)
            return
        if top is None:
            self._frames.gap("changed files", name, "its root file system is read-only")
        else:
            facts = {"since": since, "fstype": top.fstype}
            Changed(self._frames, since, top.fstype).write(root, folder + "/changed.tar", facts)
        if self._whole:
            Layer(self._frames, False).write(root, folder + "/rootfs.tar", {})
        for place in others:
            self._volume(place, root + place.point, folder + "/volumes/" + place.point.strip("/").replace("/", "_"))

    def _volume(self, place: Place, path: str, name: str) -> None:
        if place.fstype in NETWORK:
            why = "is a network file system (%s): it outlives the pod, read it where it is" % place.fstype
            self._frames.gap("volume", place.point, why)
            return
        try:
            facts = os.stat(path)
        except OSError as error:
            self._frames.gap("volume", place.point, str(error.strerror), not isinstance(error, FileNotFoundError))
            return
        key = (facts.st_dev, facts.st_ino)
        if key in self._done:
            return
        self._done.add(key)
        if stat.S_ISDIR(facts.st_mode):
            Layer(self._frames, False).write(path, name + ".tar", {"mount": list(place)})
        elif stat.S_ISREG(facts.st_mode):
            item = self._frames.item(name)
            item.facts = {"mount": list(place)}
            with open(path, "rb", buffering=0) as file:
                item.close(item.copy(file, 1 << 30))
