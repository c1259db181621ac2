# SPDX-License-Identifier: Apache-2.0
"""Tables of the sample against what /proc said; every table that a checkpoint has."""

from __future__ import annotations

import functools
import random
from pathlib import Path
from typing import Any

import pytest

from memir.checkpoint import rows
from memir.checkpoint.images import MAGIC
from memir.checkpoint.source import CheckpointSource
from memir.errors import EvidenceError
from memir.tables.table import read_tables
from tests.checkpoint.sample import CONTAINER, POD_UID, archive, image, members, message, of_pid, pack, truth


@functools.cache
def tables() -> dict[str, list[dict[str, Any]]]:
    source = CheckpointSource(archive())
    return {name: frame.rows() for name, frame in read_tables(source).items()}


def changed(tmp_path: Path, **files: bytes) -> CheckpointSource:
    more = {f"checkpoint/{name.replace('_', '-')}.img": data for name, data in files.items()}
    return CheckpointSource(pack(tmp_path / "a.tar", {**members(), **more}))


def test_which_tables_there_are() -> None:
    assert sorted(tables()) == [
        "checkpoints", "containers", "files", "mounts", "pods", "processes", "sockets", "threads", "vmas",
    ]  # fmt: skip
    assert {row["container_id"] for name in tables() for row in tables()[name] if name != "pods"} == {CONTAINER}
    assert {row["pod_uid"] for name in tables() for row in tables()[name]} == {POD_UID}


def test_processes() -> None:
    for row in tables()["processes"]:
        said = of_pid(row["pid"])
        for name in ("ppid", "comm", "args", "exe", "uid", "cap_effective", "seccomp"):
            assert row[name] == said[name], name
        assert [text for text in row["environ"] if not text.startswith("DB_PASSWORD")] == [
            text for text in said["environ"] if not text.startswith("DB_PASSWORD")
        ]
        assert not any("correct-horse" in text for text in row["environ"])
        assert "nofile 1024 1024" in row["limits"]
        assert (row["start_time"], row["mnt_ns"], row["task"], row["state"]) == (None, None, None, None)
    assert [row["tid"] for row in tables()["threads"]] == [row["pid"] for row in tables()["processes"]]


def test_regions_are_those_of_maps() -> None:
    for process in truth()["processes"]:
        said = []
        for line in process["maps"]:
            fields = line.split(None, 5)
            start, end = (int(part, 16) for part in fields[0].split("-"))
            name = fields[5] if len(fields) > 5 else None
            said.append((start, end, fields[1], name))
        have = [(row["start"], row["end"], row["permissions"], row["path"]) for row in tables()["vmas"]
                if row["pid"] == process["pid"]]  # fmt: skip
        clock = next(row for row in said if row[3] == "[vvar_vclock]")
        # CRIU takes [vvar] and [vvar_vclock], which follows it, for one region
        same = [
            (start, clock[1], mode, name) if name == "[vvar]" else (start, end, mode, name)
            for start, end, mode, name in said
            if name not in ("[vvar_vclock]", "[vsyscall]")
        ]
        assert [row for row in have if row[3] != "[vsyscall]"] == same


def test_open_files() -> None:
    for process in truth()["processes"]:
        mine = [row for row in tables()["files"] if row["pid"] == process["pid"]]
        have = {
            str(row["fd"]): row["path"] + (" (deleted)" if row["deleted"] else "") for row in mine if row["use"] == "fd"
        }
        assert have == process["fds"]
        assert next(row["path"] for row in mine if row["use"] == "cwd") == process["cwd"]
        assert next(row["path"] for row in mine if row["use"] == "exe") == process["exe"]
    assert {row["peer"] for row in tables()["files"] if row["pid"] == 13 and row["fd"] == 3} == {"127.0.0.1:8443"}
    assert {row["kind"] for row in tables()["files"] if row["path"] == "/dev/null"} == {"char"}


def test_sockets_have_their_holders() -> None:
    held = {(row["family"], row["state"]): (row["pid"], row["fd"], row["pids"]) for row in tables()["sockets"]}
    assert held == {
        ("unix", "CLOSE"): (6, 0, [6]), ("inet6", "LISTEN"): (7, 3, [7]), ("inet6", "ESTABLISHED"): (15, 0, [15]),
        ("inet", "ESTABLISHED"): (13, 3, [13]),
    }  # fmt: skip


def test_mounts() -> None:
    said = {(point, root): fstype for point, fstype, root in truth()["mounts"]}
    have = {(row["mount_point"], row["root"]): row["fstype"] for row in tables()["mounts"]}
    assert have.keys() == said.keys()
    assert {key: value for key, value in have.items() if value is not None} == {
        key: value for key, value in said.items() if value != "ext4"  # CRIU writes no type of the root's file system
    }  # fmt: skip
    sysctl = next(row for row in tables()["mounts"] if row["mount_point"] == "/proc/sys")
    assert sysctl["options"] == ["ro", "relatime"]


def test_container_and_pod() -> None:
    row = tables()["containers"][0]
    assert (row["state"], row["restarts"], row["processes"], row["image"], row["privileged"]) == (
        "running", 2, 8, "docker.io/library/busybox:1.35.0", False,
    )  # fmt: skip
    assert row["doubts"] == []
    assert not any("correct-horse" in text for text in row["env"])
    assert [(row["qos"], row["pod_name"], row["container_id"]) for row in tables()["pods"]] == [
        ("BestEffort", "web-7d9f", None)
    ]


def test_a_bind_mount_is_a_volume(tmp_path: Path) -> None:
    import json

    path = f"/var/lib/kubelet/pods/{POD_UID}/volumes/kubernetes.io~secret/keys"
    spec = json.loads(members()["spec.dump"])
    spec["mounts"].append({"destination": "/keys", "source": path, "type": "bind", "options": ["rbind", "ro"]})
    names = ((6, b"/"), (7, b"/keys"), (8, b"none"), (9, b""))
    mount = message((1, 0), (2, 99), (3, 7 << 20 | 3), (4, 65), (5, 1), *names, (10, 5))
    source = CheckpointSource(pack(tmp_path / "a.tar", {
        **members(), "spec.dump": json.dumps(spec).encode(),
        "checkpoint/mountpoints-13.img": image(MAGIC["mountpoints"], mount),
    }))  # fmt: skip
    row = rows.mount_rows(source)[-1]
    assert (row["source_path"], row["volume_kind"], row["volume_name"], row["device"]) == (
        path,
        "secret",
        "keys",
        "7:3",
    )
    assert (row["options"], row["propagation"]) == (["ro"], ["shared:5"])


def test_regions_that_make_no_sense(tmp_path: Path) -> None:
    vmas = [message((1, 0x1000), (2, 0x3000), (5, 3)), message((1, 0x2000), (2, 0x4000)), message((1, 9), (2, 10))]
    source = changed(tmp_path, mm_8=image(MAGIC["mm"], message(*((14, vma) for vma in vmas))))
    eight = next(process for process in source.tree.processes if process.pid == 8)
    assert [(row["start"], row["permissions"]) for row in rows.regions(source, eight)] == [(0x1000, "rw-p")]
    assert [(gap.why, gap.count) for gap in source.gaps if gap.kind == "vma"] == [
        ("regions overlap or make no sense", 2)
    ]


def test_a_file_that_lacks_is_counted(tmp_path: Path) -> None:
    source = changed(tmp_path, files=image(MAGIC["files"]))
    assert rows.file_rows(source) == []
    assert {gap.why for gap in source.gaps if gap.kind == "open file"} == {"not in files.img"}


@pytest.mark.parametrize("seed", range(60))
def test_damaged_images_give_rows_or_one_error(tmp_path: Path, seed: int) -> None:
    """Bytes changed, cut or put in, in any file: gaps or an error of memir's own, nothing else."""
    chance = random.Random(seed)
    files = dict(members())
    for name in chance.sample(sorted(name for name in files if "/pages-" not in name), 6):
        data = bytearray(files[name])
        for _ in range(chance.randint(1, 8)):
            place = chance.randrange(len(data)) if data else 0
            match chance.randrange(3):
                case 0 if data:
                    data[place] = chance.randrange(256)
                case 1:
                    del data[place:]
                case _:
                    data[place:place] = bytes(chance.choice((0, 0x7F, 0x80, 0xFF)) for _ in range(chance.randint(1, 9)))
        files[name] = bytes(data)
    try:
        source = CheckpointSource(pack(tmp_path / "a.tar", files))
    except EvidenceError as error:
        assert "\n" not in str(error)
        return
    assert {frame.names[-1] for frame in read_tables(source).values()} == {"source"}


def test_rows_before_they_are_typed() -> None:
    source = CheckpointSource(archive())
    assert [row["pid"] for row in rows.process_rows(source)] == [1, 6, 7, 8, 11, 12, 13, 15]
    assert len(rows.thread_rows(source)) == 8
    assert {row["pid"] for row in rows.vma_rows(source)} == {1, 6, 7, 8, 11, 12, 13, 15}
    assert [row["inode"] is not None for row in rows.sockets_of(source)] == [True] * 4
    assert rows.container_rows(source)[0]["container_id"] == CONTAINER
    assert rows.pod_rows(source)[0]["pod_uid"] == POD_UID
