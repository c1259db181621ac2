# SPDX-License-Identifier: Apache-2.0
"""Runs on the node: what /proc, /sys, containerd and runc say of processes, namespaces, mounts, sockets, routes,
modules, cgroups and containers, as JSON for tests/images.py. Lists of an upper layer end after 2,000 entries."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KINDS = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time")
STATE = Path("/run/containerd/runc/k8s.io")
LAYERS = Path("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots")
NET = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "unix", "packet", "netlink", "route", "arp", "dev", "if_inet6",
       "fib_trie")  # fmt: skip
SYSTEM = ("meminfo", "vmstat", "swaps", "loadavg", "uptime", "stat", "sys/kernel/core_pattern", "sys/kernel/modprobe",
          "sys/kernel/tainted")  # fmt: skip
CGROUP = ("memory.stat", "memory.current", "memory.max", "memory.events", "cpu.stat", "cpu.max", "pids.current",
          "cgroup.procs")  # fmt: skip


def read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None


def names(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.iterdir()]
    except OSError:
        return []


def run(*words: str) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def task(folder: Path) -> dict[str, Any] | None:
    """One process; None where it ended meanwhile."""
    status = dict(line.split(":\t", 1) for line in read(folder / "status").splitlines() if ":\t" in line)
    if not status:
        return None
    cmdline, exe = read(folder / "cmdline"), link(folder / "exe")
    return {
        "pid": int(folder.name), "ppid": int(status["PPid"]), "comm": status["Name"],
        "uid": int(status["Uid"].split()[0]), "nspid": [int(one) for one in status.get("NSpid", "").split()],
        "threads": int(status["Threads"]), "tids": sorted(int(one) for one in names(folder / "task")),
        "cap_eff": status["CapEff"], "seccomp": status.get("Seccomp"), "tracer": int(status.get("TracerPid", 0)),
        "vm": {key: status.get(key) for key in ("VmSize", "VmRSS", "RssAnon", "RssFile", "RssShmem", "VmSwap")},
        "kthread": not cmdline and exe is None, "start": read(folder / "stat").rsplit(")", 1)[-1].split()[19:20],
        "cgroup": read(folder / "cgroup").strip().split("\n"), "exe": exe, "cwd": link(folder / "cwd"),
        "root": link(folder / "root"), "cmdline": cmdline.split("\0")[:-1],
        "environ": read(folder / "environ").split("\0")[:-1],
        "ns": {kind: link(folder / "ns" / kind) for kind in KINDS},
        "fds": {name: link(folder / "fd" / name) for name in names(folder / "fd")},
        "fdinfo": {name: read(folder / "fdinfo" / name)[:400] for name in names(folder / "fdinfo")},
        "vmas": [line.split(None, 5) for line in read(folder / "maps").splitlines()],
        "smaps": read(folder / "smaps_rollup").splitlines()[1:], "rss": read(folder / "statm").split(),
        "label": read(folder / "attr/current").strip("\0\n"),
    }  # fmt: skip


def network(folder: Path) -> dict[str, Any]:
    """Of the network namespace of one process."""
    links = run("nsenter", "-t", folder.name, "-n", "ip", "-j", "-d", "addr")
    files = {name: read(folder / "net" / name).splitlines() for name in NET}
    return files | {"conntrack": read(folder / "net/nf_conntrack").splitlines(), "links": links}


def entries(layer: Path) -> Iterator[list[Any]]:
    """Everything below an upper layer: path from its top, then what lstat says."""
    for folder, folders, files in os.walk(layer):
        for name in folders + files:
            path = Path(folder, name)
            try:
                stat = path.lstat()
            except OSError:
                continue
            times = [stat.st_mtime_ns, stat.st_ctime_ns]
            yield ["/" + str(path.relative_to(layer)), stat.st_mode, stat.st_uid, stat.st_gid, stat.st_size, *times,
                   stat.st_ino, stat.st_rdev]  # fmt: skip


def cgroups() -> dict[str, dict[str, list[str]]]:
    """Memory, processor and processes of the pods' cgroups and of those near the root."""
    return {
        folder: {name: read(Path(folder, name)).splitlines() for name in CGROUP}
        for folder, _, files in os.walk("/sys/fs/cgroup")
        if "memory.stat" in files and ("kubepods" in folder or folder.count("/") < 6)
    }


proc = Path("/proc")
folders = [proc / str(pid) for pid in sorted(int(name) for name in names(proc) if name.isdigit())]
tasks = [one for one in map(task, folders) if one is not None]
mounts, net = {}, {}
for one in tasks:
    folder = proc / str(one["pid"])
    if one["ns"]["mnt"] and one["ns"]["mnt"] not in mounts:
        mounts[one["ns"]["mnt"]] = [line.split(" - ") for line in read(folder / "mountinfo").splitlines()]
    if one["ns"]["net"] and one["ns"]["net"] not in net:
        net[one["ns"]["net"]] = network(folder)
idents = run("ctr", "-n", "k8s.io", "containers", "ls", "-q").split()
layer = re.compile(rf"upperdir={re.escape(str(LAYERS))}/(\d+)/fs")
layers = sorted({match[1] for lines in mounts.values() for line in lines for match in layer.finditer(line[-1])})
json.dump({
    "when": time.time(), "uname": list(os.uname()), "cmdline": read(proc / "cmdline").strip(),
    "banner": read(proc / "version").strip(), "tasks": tasks, "mounts": mounts, "net": net,
    "tcp": {space: files["tcp"][1:] + files["tcp6"][1:] for space, files in net.items()},
    "iomem": read(proc / "iomem").splitlines(), **{name: read(proc / name).splitlines() for name in SYSTEM},
    "modules": [line.split()[0] for line in read(proc / "modules").splitlines()],
    "memory_stat": cgroups(), "dmesg": run("dmesg").splitlines(),
    "containers": [json.loads(run("ctr", "-n", "k8s.io", "containers", "info", one) or "null") for one in idents],
    "runc": {one: json.loads(read(STATE / one / "state.json") or "null") for one in idents},
    "upper": {name: list(entries(LAYERS / name / "fs"))[:2000] for name in layers},
}, sys.stdout)  # fmt: skip
