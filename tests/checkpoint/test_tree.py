# SPDX-License-Identifier: Apache-2.0
"""Processes of the sample against /proc, and archives with images that lack, lie or are of another version."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.checkpoint.archive import Archive
from memir.checkpoint.images import MAGIC
from memir.checkpoint.tree import Tree
from memir.errors import ImageFormatError
from memir.gaps import Gaps
from tests.checkpoint.sample import archive, image, members, message, pack, truth


def tree(path: Path | None = None) -> tuple[Tree, Gaps]:
    gaps = Gaps()
    return Tree(Archive(path or archive(), gaps)), gaps


def changed(tmp_path: Path, *without: str, **files: bytes) -> Path:
    more = {f"checkpoint/{name.replace('_', '-')}.img": data for name, data in files.items()}
    every = {name: data for name, data in {**members(), **more}.items() if name not in without}
    return pack(tmp_path / "a.tar", every)


def test_processes_are_those_of_proc() -> None:
    read, gaps = tree()
    assert (read.version, list(gaps)) == (2, [])
    told = {row["pid"]: row for row in truth()["processes"]}
    assert [process.pid for process in read.processes] == sorted(told)
    for process in read.processes:
        said = told[process.pid]
        assert (process.ppid, process.task["comm"]) == (said["ppid"], said["comm"])
        assert (process.args, process.environ) == (said["args"], said["environ"])
        assert process.creds["uid"] == said["uid"]
        assert process.threads == [process.pid]
        assert sorted(entry["fd"] for entry in process.fds) == sorted(map(int, said["fds"]))


def test_an_archive_without_an_image_counts_what_lacks(tmp_path: Path) -> None:
    read, gaps = tree(changed(tmp_path, "checkpoint/mm-8.img", "checkpoint/core-8.img", "checkpoint/files.img"))
    eight = next(process for process in read.processes if process.pid == 8)
    assert (eight.args, eight.environ, eight.task, eight.creds) == (None, None, {}, {})
    assert len(read.processes) == 8
    assert {gap.kind for gap in gaps} == {"CRIU image mm", "CRIU image core"}
    assert read.files == {}


def test_arguments_that_leave_memory(tmp_path: Path) -> None:
    for start, end, why in ((0x1000, 0x1010, "page not in the checkpoint"), (9, 1, "its bounds make no sense")):
        mm = message((8, start), (9, end), (10, 0), (11, 1 << 40))
        read, gaps = tree(changed(tmp_path, mm_8=image(MAGIC["mm"], mm)))
        eight = next(process for process in read.processes if process.pid == 8)
        assert (eight.args, eight.environ) == (None, None)
        assert [gap.why for gap in gaps if gap.kind == "args"] == [why]
        assert [gap.why for gap in gaps if gap.kind == "environ"] == ["its bounds make no sense"]


def test_a_version_that_there_is_not(tmp_path: Path) -> None:
    path = changed(tmp_path, inventory=image(MAGIC["inventory"], message((1, 3)), common=None))
    with pytest.raises(ImageFormatError, match=r"images are of version 3, and memir reads 1 and 2: .*crit"):
        tree(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (image(MAGIC["mm"]), "its magic is 0x57492820 .*; take the checkpoint again"),
        (image(MAGIC["pstree"]), "no process in checkpoint/pstree.img"),
        (image(MAGIC["pstree"], message((1, 0)), message((1, 1 << 40))), "no process in"),
    ],
)
def test_a_tree_that_cannot_be_read(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(ImageFormatError, match=why):
        tree(changed(tmp_path, pstree=data))


def test_threads_a_zombie_and_a_pid_twice(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        pstree=image(MAGIC["pstree"], message((1, 1), (5, 1), (5, 70)), message((1, 9), (2, 1)), message((1, 9))),
        core_70=image(MAGIC["core"], message((5, message((13, b"worker"))))),
        core_9=image(MAGIC["core"], message((3, message((1, 6), (6, b"gone"))))),
    )
    read, gaps = tree(path)
    assert [(process.pid, process.threads, process.names) for process in read.processes] == [
        (1, [1, 70], {70: "worker"}), (9, [9], {}),
    ]  # fmt: skip
    assert read.processes[1].task == {"task_state": 6, "comm": "gone"}
    assert ("process", "its id makes no sense, or stands there twice", 1) in {(g.kind, g.why, g.count) for g in gaps}


def test_an_image_a_kind_of_file(tmp_path: Path) -> None:
    reg = image(MAGIC["reg-files"], message((1, 5), (6, b"opt/tool")))
    read, _ = tree(changed(tmp_path, "checkpoint/files.img", reg_files=reg))
    assert read.files[5].path == "/opt/tool"
