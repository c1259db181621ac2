# SPDX-License-Identifier: Apache-2.0
"""A pod's processes by /proc: which they are, what is written of them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from pathlib import Path

from memir.collect.node.frames import Frames
from memir.collect.node.procfs import (
    Writer,
    btime,
    container_of,
    inum,
    link,
    members,
    open_quietly,
    pids,
    read,
    text,
    threads,
)
from tests.collect.podrig import PASSWORD, PodRig
from tests.collect.streams import items


def test_members_by_cgroup_and_by_namespace(pod: PodRig) -> None:
    known = members(pod.uid, [])
    inside = pod.members()
    assert {pid for pid, why in known.items() if "cgroup" in why} == set(inside)
    runc = set(known) - set(inside)
    assert len(runc) == 1, "the parent, which left the cgroup, is known by its namespaces"
    assert known[runc.pop()] == ["mnt", "net"]
    assert members("", [pod.container]).keys() == known.keys()
    assert members("00000000-0000-0000-0000-000000000000", []) == {}
    assert container_of(pod.pid) == pod.container
    assert container_of(os.getpid()) == ""
    assert {os.getpid(), pod.pid} <= set(pids())


def test_records_of_processes(pod: PodRig) -> None:
    out = io.BytesIO()
    frames = Frames(out)
    writer = Writer(frames)
    known = members(pod.uid, [])
    writer.processes({**known, 2**22 + 1: ["cgroup"]})
    writer.spaces(known)
    writer.deleted(known)
    frames.end({})
    files, end = items(out.getvalue())
    rows = {row["pid"]: row for row in map(json.loads, files["node/processes.jsonl"][0].splitlines())}
    assert rows.keys() == known.keys()
    shell = rows[pod.pid]
    assert shell["container"] == pod.container
    assert shell["files"]["status"].startswith("Name:\tsh\n")
    assert shell["links"]["exe"].endswith("/rootfs/bin/dash") or shell["links"]["exe"].endswith("/rootfs/bin/sh")
    assert shell["exe_sha256"] == hashlib.sha256(Path("/bin/sh").read_bytes()).hexdigest()
    assert [row["comm"] for row in shell["threads"]] == ["sh"]
    assert next(row["target"] for row in shell["fds"] if row["fd"] == 7).endswith("/tmp/deleted (deleted)")
    assert PASSWORD not in files["node/processes.jsonl"][0].decode()
    clear = {row["pid"]: row for row in map(json.loads, files["clear/processes.jsonl"][0].splitlines())}
    assert f"DB_PASSWORD={PASSWORD}" in clear[pod.pid]["environ"].split("\0")
    number = inum(link(f"/proc/{pod.pid}/ns/net"))
    assert files[f"node/net/{number}/tcp"][0].lstrip().startswith(b"sl ")
    assert b" - overlay overlay " in files[f"node/mounts/{inum(link(f'/proc/{pod.pid}/ns/mnt'))}"][0]
    deleted = {name: data for name, (data, _) in files.items() if name.startswith("node/deleted/")}
    assert list(deleted.values()) == [b"deleted\n"]
    gone = [gap for gap in end["gaps"] if gap["kind"] == "process"]
    assert [(gap["why"], gap["missing"]) for gap in gone] == [("ended while it was read", False)]


def test_small_readers(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"ab\xffcd")
    assert read(str(tmp_path / "x"), 3) == b"ab\xff"
    assert text(b"\xff") == "\udcff"
    assert (inum("net:[4026531840]"), inum(None)) == ("4026531840", "")
    assert link(str(tmp_path / "none")) is None
    before = (tmp_path / "x").stat().st_atime_ns
    os.close(open_quietly(str(tmp_path / "x")))
    assert (tmp_path / "x").stat().st_atime_ns == before
    assert abs((btime() or 0) + float(Path("/proc/uptime").read_text().split()[0]) - time.time()) < 60
    assert os.getpid() in [thread["tid"] for thread in threads(os.getpid())]  # numbers begin again at their end
