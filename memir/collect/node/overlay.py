# SPDX-License-Identifier: Apache-2.0
"""Where a container's root file system and its writable layer lie, by mount tables: proc(5), overlayfs.rst."""

import os
import re
import stat
from typing import Dict, Iterable, List, NamedTuple, Optional

from memir.collect.node.procfs import read, text

MAX_MOUNTS = 100000


class Mount(NamedTuple):
    """A mount, as mountinfo has it."""

    device: str
    root: str
    point: str
    fstype: str
    source: str
    options: str


class Root(NamedTuple):
    """A container's root file system. merged: its path on the node, "" if the node has it mounted nowhere. witness: the
    mount table that says so."""

    fstype: str
    merged: str
    upper: str
    lower: List[str]
    work: str
    witness: str


def unescape(word: str) -> str:
    r"""A field of mountinfo as it was: `\040` is a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), word)


def parse_mountinfo(content: str) -> List[Mount]:
    """The mounts of a mountinfo file, in order; lines that are none are passed over."""
    out = []
    for row in content.split("\n")[:MAX_MOUNTS]:
        words = row.split(" ")
        if len(words) < 10 or "-" not in words[6:]:
            continue
        split = words.index("-", 6)
        if len(words) < split + 4:
            continue
        out.append(
            Mount(words[2], unescape(words[3]), unescape(words[4]), words[split + 1], unescape(words[split + 2]),
                  words[split + 3])
        )  # fmt: skip
    return out


def overlay_options(options: str) -> Dict[str, str]:
    r"""Options of an overlay, as the kernel shows them: `\,` and `\\` are escaped within a name."""
    out: Dict[str, str] = {}
    for word in re.split(r"(?<!\\),", unescape(options)):
        name, _, value = word.partition("=")
        out.setdefault(name, value.replace("\\,", ",").replace("\\\\", "\\"))
    return out


def lower_layers(option: str) -> List[str]:
    r"""Lower layers, topmost first; `\:` is a colon of a name, `::` begins data-only layers."""
    return [word.replace("\\:", ":") for word in re.split(r"(?<!\\):", option) if word]


def node_mounts() -> List[Mount]:
    """The node's own mount table: that of this process, and of the node's first."""
    out: List[Mount] = []
    for path in ("/proc/self/mountinfo", "/proc/1/mountinfo"):
        try:
            out += parse_mountinfo(text(read(path, 64 << 20)))
        except OSError:
            continue
    return out


def root_of(container: str, processes: Iterable[int], mounts: List[Mount]) -> Optional[Root]:
    """The root file system of a container; None if no mount table has it.

    The node's table is asked first, by the path that the runtime gives it (the container's id in it), then by the
    device that a process of the container has as its root: what the container itself mounted there is not believed
    where the node knows better.
    """
    for mount in mounts:
        if container and mount.point.endswith("/%s/rootfs" % container):
            return _root(mount, mount.point, "the node's mount table")
    for pid in processes:
        try:
            own = parse_mountinfo(text(read("/proc/%d/mountinfo" % pid, 64 << 20)))
        except OSError:
            continue
        top = [mount for mount in own if mount.point == "/"]
        if not top:
            continue
        for mount in mounts:
            if mount.device == top[-1].device and mount.root == top[-1].root and mount.point != "/":
                return _root(mount, mount.point, "the node's mount table, by the device of pid %d" % pid)
        return _root(top[-1], "", "the mount table of pid %d alone" % pid)
    return None


def lies_below(layers: Iterable[str], path: str) -> bool:
    """Whether the layers of an image, topmost first, have something at a path; nothing is followed."""
    parts = path.split("/")
    for layer in layers:
        place = layer
        for number, part in enumerate(parts, 1):
            place += "/" + part
            try:
                facts = os.lstat(place)
            except OSError:
                break
            if number == len(parts):
                return not (stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0)
            if not stat.S_ISDIR(facts.st_mode):
                return False
    return False


def _root(mount: Mount, merged: str, witness: str) -> Root:
    options = overlay_options(mount.options) if mount.fstype == "overlay" else {}
    upper = options.get("upperdir", "")
    return Root(
        mount.fstype, merged, os.path.normpath(upper) if upper.startswith("/") else "",
        lower_layers(options.get("lowerdir", "")), options.get("workdir", ""), witness,
    )  # fmt: skip
