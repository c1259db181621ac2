# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""What a recorded node said of itself, and how volatility3's rows are held against it.

A `.truth.txt` has one JSON object a line behind "@KIND "; node-6.1's truth is one JSON document. Both come
from /proc of the running node, seconds before its memory was taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.images import ImageCase

Row = Mapping[str, Any]


@dataclass
class Process:
    pid: int
    ppid: int
    comm: str
    kernel_thread: bool
    mnt_ns: int | None = None
    net_ns: int | None = None
    mounts: list[str] = field(default_factory=list)
    maps: list[str] = field(default_factory=list)
    fds: dict[int, str] = field(default_factory=dict)
    args: list[str] = field(default_factory=list)
    cap_effective: int = 0


@dataclass
class Truth:
    processes: dict[int, Process]
    modules: set[str]

    @property
    def user(self) -> dict[int, Process]:
        """Processes with memory of their own."""
        return {pid: p for pid, p in self.processes.items() if not p.kernel_thread}


def off_the_task_list(case: ImageCase) -> set[int]:
    """Processes that an intruder took off the task list, by the labels beside the image."""
    return {label["pid"] for label in case.labels()["processes"] if "tasks" in label["hidden_from"]}


def unexplained(case: ImageCase, wrong: Iterable[str]) -> list[str]:
    """Differences of a check, less the processes that volatility3 misses because they are off the list it goes by."""
    hidden = off_the_task_list(case)
    return [line for line in wrong if not (line.startswith("missing (") and int(line[9:].split(",")[0]) in hidden)]


def load(case: ImageCase) -> Truth:
    """What was recorded of an image's node."""
    record = case.raw_truth()
    if "tasks" in record:
        return _node(record)
    processes = {}
    for p in record["proc"]:
        found = Process(
            p["pid"], p["ppid"], p["comm"], bool(p["kthread"]), _inum(p["ns"], "mnt"), _inum(p["ns"], "net")
        )
        found.mounts = p.get("mountinfo", "").splitlines()
        found.maps = p.get("maps", "").splitlines()
        found.fds = {int(fd): target for fd, target in p.get("fds", {}).items() if target}
        found.args = p.get("cmdline", "").split("\0")[:-1]
        found.cap_effective = int(p["status"].partition("CapEff:")[2].split()[0], 16)
        if p["comm"] != "truth":  # it had ended when the memory was taken
            processes[found.pid] = found
    return Truth(processes, {line.split()[0] for line in record["sys"]["modules"].splitlines()})


def _node(record: Any) -> Truth:
    processes = {}
    for t in record["tasks"]:
        found = Process(t["pid"], t["ppid"], t["comm"], t["kthread"], _inum(t["ns"], "mnt"), _inum(t["ns"], "net"))
        found.mounts = [" - ".join(parts) for parts in record["mounts"].get(t["ns"]["mnt"], [])]
        found.maps = [" ".join(parts) for parts in t["vmas"]]
        found.fds = {int(fd): target for fd, target in t["fds"].items() if target}
        found.args, found.cap_effective = t["cmdline"], int(t["cap_eff"], 16)
        processes[found.pid] = found
    # The record was taken over an SSH session that ended before the memory was taken.
    for pid in [pid for pid, p in processes.items() if p.comm == "python3" and processes[p.ppid].comm == "sshd"]:
        del processes[processes.pop(pid).ppid]
    return Truth(processes, set(record["modules"]))


def _inum(namespaces: Mapping[str, str | None], kind: str) -> int | None:
    text = namespaces.get(kind)
    return int(text.split("[")[1][:-1]) if text else None


def pslist(truth: Truth, rows: Iterable[Row]) -> list[str]:
    """What differs in pid, ppid and comm of user processes; empty if nothing does."""
    wanted = {(p.pid, p.ppid, p.comm) for p in truth.user.values()}
    kernel = {pid for pid, p in truth.processes.items() if p.kernel_thread}
    found = {(row["PID"], row["PPID"], row["COMM"]) for row in rows if row["PID"] not in kernel}
    return _differ(wanted, found)


HIDDEN = ("rootfs", "nullfs")
"""File systems below a namespace's root, whose mounts /proc does not show."""


def mountinfo(truth: Truth, rows: Iterable[Row]) -> list[str]:
    """What differs in the mounts of every mount namespace.

    /proc shows those below the root of the process asked; volatility3 all of the namespace, so that one which
    does not hang below that root is no difference. It gives "/" as the root of a namespace file's mount.
    """
    rows = list(rows)
    wanted, roots = set(), {}
    for p in truth.user.values():
        for line in p.mounts:
            number, parent, device, root, point, fstype = _mount(line)
            wanted.add((p.mnt_ns, number, parent, device, "/" if fstype == "nsfs" else root, point, fstype))
            if point == "/":
                roots[p.mnt_ns] = number
    parents = {(row["MNT_NS_ID"], row["MOUNT ID"]): row["PARENT_ID"] for row in rows}

    def below_root(ns: int, number: int) -> bool:
        for _ in range(64):
            if number == roots[ns]:
                return True
            number = parents.get((ns, number), number)
        return False

    names = ("MNT_NS_ID", "MOUNT ID", "PARENT_ID", "MAJOR:MINOR", "ROOT", "MOUNT_POINT", "FSTYPE")
    found = {
        tuple(row[name] for name in names)
        for row in rows
        if row["MNT_NS_ID"] in roots and below_root(row["MNT_NS_ID"], row["MOUNT ID"]) and row["FSTYPE"] not in HIDDEN
    }
    return _differ(wanted, found)


def _mount(line: str) -> tuple[int, int, str, str, str, str]:
    left, right = line.split(" - ")
    number, parent, device, root, point = left.split()[:5]
    return int(number), int(parent), device, _unescape(root), _unescape(point), right.split()[0]


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text)


def lsof(truth: Truth, rows: Iterable[Row]) -> list[str]:
    """What differs in the open file descriptors of user processes."""
    wanted = {(p.pid, fd) for p in truth.user.values() for fd in p.fds}
    found = {(row["PID"], row["FD"]) for row in rows if row["PID"] in truth.user}
    return _differ(wanted, found)


def sockstat(truth: Truth, rows: Iterable[Row]) -> list[str]:
    """What differs in the sockets of user processes, by network namespace, pid and descriptor."""
    wanted = {(p.pid, fd) for p in truth.user.values() for fd, to in p.fds.items() if to.startswith("socket:")}
    found = {(row["PID"], row["FD"]) for row in rows if row["PID"] in truth.user}
    return _differ(wanted, found)


def maps(truth: Truth, rows: Iterable[Row]) -> list[str]:
    """What differs in the memory areas of user processes: bounds, permissions and offset."""
    wanted = set()
    for p in truth.user.values():
        for line in p.maps:
            bounds, flags, offset = line.split()[:3]
            start, _, end = bounds.partition("-")
            if int(start, 16) < 1 << 63:  # not the vsyscall page: it is no area of the process
                wanted.add((p.pid, int(start, 16), int(end, 16), flags[:3], int(offset, 16)))
    found = {
        (row["PID"], row["Start"], row["End"], row["Flags"][:3], row["PgOff"])
        for row in rows
        if row["PID"] in truth.user
    }
    return _differ(wanted, found)


def psaux(truth: Truth, rows: Iterable[Row]) -> list[str]:
    """What differs in the command lines of user processes, titles written over them too."""
    found = {row["PID"]: (row["ARGS"] or "").strip() for row in rows if row["PID"] in truth.user}
    wanted = {p.pid: " ".join(p.args).strip() for p in truth.user.values()}
    return _differ(set(wanted.items()), set(found.items()))


def capabilities(truth: Truth, rows: Iterable[Row]) -> list[str]:
    """What differs in the number of effective capabilities of processes."""
    wanted = {(p.pid, p.cap_effective.bit_count()) for p in truth.processes.values()}
    every = max((count for _, count in wanted), default=0)
    found = set()
    for row in rows:
        text = row["cap_effective"]
        count = every if text == "all" else len(text.split(",")) if text else 0
        found.add((row["Pid"], count))
    return _differ(
        {one for one in wanted if one[0] in {pid for pid, _ in found}},
        {one for one in found if one[0] in truth.processes},
    )


def lsmod(truth: Truth, rows: Iterable[Row]) -> list[str]:
    """What differs in the names of loaded modules."""
    return _differ(truth.modules, {row["Module Name"] for row in rows})


def _differ(wanted: set[Any], found: set[Any]) -> list[str]:
    return [f"missing {x}" for x in sorted(wanted - found, key=repr)] + [
        f"extra {x}" for x in sorted(found - wanted, key=repr)
    ]


CHECKS = {
    "linux.pslist": pslist,
    "linux.mountinfo": mountinfo,
    "linux.lsof": lsof,
    "linux.sockstat": sockstat,
    "linux.proc": maps,
}
"""volatility3's plugin to the comparison of its rows."""
MORE = {"linux.psaux": psaux, "linux.capabilities": capabilities, "linux.lsmod": lsmod}
"""Further ones, of which stock volatility3 gets some wrong: capabilities before 6.3, lsmod from 6.19."""
