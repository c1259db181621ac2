# SPDX-License-Identifier: Apache-2.0
"""Runs on the node: what /proc, containerd and runc say of every process and container, as JSON for tests/images.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

KINDS = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time")
STATE = Path("/run/containerd/runc/k8s.io")


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
        "cap_eff": status["CapEff"], "seccomp": status.get("Seccomp"),
        "vm": {key: status.get(key) for key in ("VmSize", "VmRSS", "RssAnon", "RssFile", "RssShmem", "VmSwap")},
        "kthread": not cmdline and exe is None, "start": read(folder / "stat").rsplit(")", 1)[-1].split()[19:20],
        "cgroup": read(folder / "cgroup").strip().split("\n"), "exe": exe, "cwd": link(folder / "cwd"),
        "root": link(folder / "root"), "cmdline": cmdline.split("\0")[:-1],
        "environ": read(folder / "environ").split("\0")[:-1],
        "ns": {kind: link(folder / "ns" / kind) for kind in KINDS},
        "fds": {name: link(folder / "fd" / name) for name in names(folder / "fd")},
    }  # fmt: skip


proc = Path("/proc")
found = [task(proc / str(pid)) for pid in sorted(int(name) for name in names(proc) if name.isdigit())]
idents = run("ctr", "-n", "k8s.io", "containers", "ls", "-q").split()
json.dump({
    "when": time.time(), "uname": list(os.uname()), "cmdline": read(proc / "cmdline").strip(),
    "banner": read(proc / "version").strip(), "tasks": [one for one in found if one is not None],
    "iomem": read(proc / "iomem").splitlines(),
    "modules": [line.split()[0] for line in read(proc / "modules").splitlines()],
    "containers": [json.loads(run("ctr", "-n", "k8s.io", "containers", "info", one) or "null") for one in idents],
    "runc": {one: json.loads(read(STATE / one / "state.json") or "null") for one in idents},
}, sys.stdout)  # fmt: skip
