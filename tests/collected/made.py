# SPDX-License-Identifier: Apache-2.0
"""A small folder of a collected pod, made by hand: one process in one container, no memory."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from memir.documents import encode
from memir.evidence.collected import CollectedContainer, CollectedPod, Collection
from memir.evidence.custody import Manifest
from memir.evidence.pod_receipt import PodReceipt
from memir.evidence.receipt import ReceiptNode
from memir.evidence.records import Begin, NodeRecord, VerdictRecord

ID = "ab" * 32
POD = CollectedPod(
    "shop", "web-1", "11111111-2222-3333-4444-555555555555", "node-1", asked_api=True,
    containers=(CollectedContainer("web", "container", ID, "web:1", "web@sha256:00", "running", 2),),
)  # fmt: skip
RECEIPT = PodReceipt(
    "pod", "0.1.0", "20261129-120000-0", "complete", (), (), "2026-11-29T12:00:00.000000Z",
    ReceiptNode("ip-10-0-0-7", "6.1", "x86_64", "b"), 0.0,
    Collection(POD, 0, 2, 2, 100, 1, 0.5, memory=False, rootfs=False), (), (), schema=2,
)  # fmt: skip
PROCESS: dict[str, Any] = {
    "pid": 77, "known_by": ["cgroup"], "container": ID,
    "files": {
        "status": "Name:\tnginx\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t77\nPid:\t77\nPPid:\t70\nTracerPid:\t0\n"
        "Uid:\t101\t101\t101\t101\nNSpid:\t77\t1\nThreads:\t1\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n"
        "Seccomp_filters:\t1\nKthread:\t0\n",
        "stat": "77 (nginx) S 70 " + " ".join(["0"] * 17) + " 500 0 0",
        "maps": "00400000-00401000 r-xp 00000000 08:01 12 /usr/sbin/nginx\n"
        "7ff000-800000 rw-p 00000000 00:00 0 [heap]\n",
        "cgroup": f"0::/kubepods.slice/cri-containerd-{ID}.scope\n",
        "attr/current": "cri-containerd.apparmor.d (enforce)\n",
    },
    "links": {"exe": "/usr/sbin/nginx (deleted)", "cwd": "/", "root": "/", "ns/net": "net:[4026532001]",
              "ns/mnt": "mnt:[4026532002]"},
    "fds": [{"fd": 3, "target": "socket:[900]", "info": "pos:\t0\nflags:\t02000002\n"}],
    "threads": [{"tid": 77, "comm": "nginx", "state": "S"}], "exe_sha256": "cd" * 32, "unread": {},
}  # fmt: skip
TCP = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 900 1 0 100 0 0 10 0\n"
)
MOUNTS = "36 35 0:41 / / rw,relatime master:2 - overlay overlay rw,lowerdir=/l,upperdir=/u\n"


def folder(path: Path, receipt: PodReceipt = RECEIPT, process: dict[str, Any] | None = None) -> Path:
    """Write it, with its manifest."""
    path.mkdir(mode=0o700)
    row = process or PROCESS
    words = {"pid": row["pid"], "cmdline": "nginx\0-g\0", "environ": "DB_PASSWORD=hunter2-of-nginx\0"}
    files = {
        "node/processes.jsonl": json.dumps(row) + "\n", "clear/processes.jsonl": json.dumps(words) + "\n",
        "node/net/4026532001/tcp": TCP, "node/mounts/4026532002": MOUNTS,
        "node/collector.json": json.dumps({"node": {"btime": 1_795_000_000, "ticks": 100}}),
    }
    manifest = Manifest(path)
    node = NodeRecord("ip-10-0-0-7", "6.1", "x86_64", "b")
    manifest.add("begin", **encode(Begin(receipt.run, "0.1.0", "kim", "ssh", {}, node, schema=2)))
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        manifest.add("file", name=name, size=len(text), sha256=digest, stored={})
    manifest.add("collection", **encode(receipt.collection))
    manifest.add("verdict", **encode(VerdictRecord(receipt.status, receipt.missing)))
    (path / "receipt.json").write_bytes(receipt.write())
    manifest.add("end", receipt=hashlib.sha256(receipt.write()).hexdigest(), status=receipt.status)
    manifest.close()
    return path


PARTIAL = replace(RECEIPT, status="partial", missing=("memory pid 7: Permission denied",))
