# SPDX-License-Identifier: Apache-2.0
"""Rows of tables from a collected pod, against what this machine's /proc says of it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from memir.collected.rows import (
    container_rows,
    file_rows,
    inode_of,
    mount_rows,
    number_of,
    pod_rows,
    process_rows,
    regions,
    shown,
    thread_rows,
    vma_rows,
)
from memir.collected.source import CollectedSource
from tests.collect.podrig import PASSWORD, SNAPSHOTS, PodRig


def test_numbers_of_the_node_are_bounded() -> None:
    assert [number_of(word) for word in ("12", " 7 ", str((1 << 64) - 1))] == [12, 7, (1 << 64) - 1]
    assert [number_of(word) for word in (str(1 << 64), "-1", "\u00b2", "9" * 5000, None, "")] == [None] * 6
    assert number_of("000001ffffffffff", 16) == 0x1FFFFFFFFFF and number_of("02", 8) == 2
    assert inode_of("socket:[900]") == 900 and inode_of("net:[4026531840]") == 4026531840
    assert [inode_of(target) for target in ("/tmp/[x]", "socket:[]", "900", None, 5)] == [None] * 5


def test_half_a_character_is_shown_as_escape() -> None:
    """As JSON may hold it, and no file's name does."""
    assert shown("a\ud800b") == "a\\ud800b" and shown("a\udcffb") == "a\\xffb" and shown(5) is None


def test_processes_and_threads(collected: Path, rig: PodRig) -> None:
    source = CollectedSource(collected)
    rows, keys = process_rows(source)
    row = next(row for row in rows if row["pid"] == rig.pid)
    assert keys[rows.index(row)] == rig.container
    assert (row["comm"], row["uid"], row["state"], row["threads"], row["kernel_thread"]) == ("sh", 0, "S", 1, False)
    assert row["pid_in_container"] == 1
    assert row["pids"] == [rig.pid, 1]
    assert row["args"][:2] == ["/bin/sh", "-c"]
    assert "MODE=shop" in row["environ"]
    assert not [word for word in row["environ"] if PASSWORD in word], "masked"
    assert row["exe_sha256"] == hashlib.sha256(Path("/bin/sh").read_bytes()).hexdigest()
    assert row["cgroup_path"] == rig.cgroup_path
    assert row["net_ns"] == int(Path(f"/proc/{rig.pid}/ns/net").readlink().name[5:-1])
    assert 0 <= (datetime.now(UTC) - row["start_time"]).total_seconds() < 3600
    outside = [row["witnesses"] for row, key in zip(rows, keys, strict=True) if not key]
    assert outside == [["mnt=pod", "net=pod"]]
    threads, owners = thread_rows(source)
    assert (rig.pid, "sh") in [(row["tid"], row["comm"]) for row in threads]
    assert len(owners) == len(threads)


def test_files_and_regions(collected: Path, rig: PodRig) -> None:
    source = CollectedSource(collected)
    rows, _ = file_rows(source)
    seven = next(row for row in rows if (row["pid"], row["fd"]) == (rig.pid, 7))
    assert (seven["deleted"], seven["offset"], seven["kind"]) == (True, 0, None)
    assert seven["path"].endswith("/tmp/deleted")
    uses = {row["use"]: row["kind"] for row in rows if row["pid"] == rig.pid and row["use"] != "fd"}
    assert uses == {"exe": "regular", "cwd": "directory", "root": "directory"}
    vmas, keys = vma_rows(source)
    mine = [row for row, key in zip(vmas, keys, strict=True) if row["pid"] == rig.pid and key == rig.container]
    maps = Path(f"/proc/{rig.pid}/maps").read_text().splitlines()
    assert [f"{row['start']:x}-{row['end']:x}" for row in mine] == [
        "-".join(word.lstrip("0") for word in line.split()[0].split("-")) for line in maps
    ]
    assert "[stack]" in {row["path"] for row in mine}
    assert list(regions({"pid": 1, "files": {"maps": "x\n1-2 rw\nzz-2 rw-p 0 0 0\n"}})) == []


def test_mounts_containers_pods(collected: Path, rig: PodRig) -> None:
    source = CollectedSource(collected)
    mounts, keys = mount_rows(source)
    root = next(row for row in mounts if row["fstype"] == "overlay" and f"upperdir={SNAPSHOTS}/2/fs" in
                row["super_options"])  # fmt: skip
    assert root["mnt_ns"] == int(Path(f"/proc/{rig.pid}/ns/mnt").readlink().name[5:-1])
    assert set(keys) == {rig.container}
    containers, idents = container_rows(source)
    row = containers[idents.index(rig.container)]
    assert (row["state"], row["processes"], row["overlay_upper"]) == ("running", 2, f"{SNAPSHOTS}/2/fs")
    assert (row["image"], row["kind"], row["seen_in"]) == ("registry.example/shop/web:1", "container", "node")
    assert not [word for word in row["env"] if PASSWORD in word]
    assert idents == sorted([rig.container, rig.sandbox])
    (pod,), _ = pod_rows(source)
    assert (pod["pod_uid"], pod["qos"], pod["seen_in"]) == (rig.uid, "BestEffort", "node")
    assert shown("a\udcff") == "a\\xff"
