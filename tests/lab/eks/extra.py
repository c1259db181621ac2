# SPDX-License-Identifier: Apache-2.0
"""Runs on the node beside truth.py: user maps, swap, NAT, routes, containerd's namespaces and snapshots, as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def run(*words: str) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def ctr(space: str, *words: str) -> str:
    return run("ctr", "-n", space, *words)


out: dict[str, object] = {
    "rules": run("iptables-save"), "conntrack": run("conntrack", "-L", "-o", "extended"),
    "route": run("ip", "route"), "zram": read("/sys/block/zram0/mm_stat"), "swaps": read("/proc/swaps"),
}  # fmt: skip
maps: dict[str, list[str]] = {}
swap: dict[str, str] = {}
for process in Path("/proc").iterdir():
    if process.name.isdigit():
        maps[process.name] = read(process / "uid_map").split()
        for line in read(process / "status").splitlines():
            if line.startswith("VmSwap") and " 0 kB" not in line:
                swap[process.name] = line
out |= {"uid_map": maps, "swap": swap}
spaces = run("ctr", "namespaces", "ls", "-q").split()
out["namespaces"] = spaces
out["other"] = {
    space: [json.loads(ctr(space, "c", "info", one)) for one in ctr(space, "c", "ls", "-q").split()]
    for space in spaces if space != "k8s.io"
}  # fmt: skip
out["tasks"] = {space: ctr(space, "tasks", "ls") for space in spaces}
out["snapshots"] = {
    one: run("ctr", "-n", "k8s.io", "snapshots", "--snapshotter", one, "ls") for one in ("overlayfs", "native")
}
out["kubelet_pods"] = sorted(one.name for one in Path("/var/lib/kubelet/pods").iterdir())
out["logs"] = sorted(str(one.relative_to("/var/log/pods")) for one in Path("/var/log/pods").glob("*/*"))
json.dump(out, sys.stdout)
