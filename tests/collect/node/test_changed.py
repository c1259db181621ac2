# SPDX-License-Identifier: Apache-2.0
"""What changed on a real overlay, told by change times alone; volumes once; nothing of the kernel's or a network's."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

from memir.collect.node.changed import Changed, Place, Written, places
from memir.collect.node.frames import Frames
from tests.collect.fargate.rig import FargateRig
from tests.collect.node.limited import as_user
from tests.collect.streams import items


def members(data: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        return {member.name for member in file.getmembers()}


def test_changed_since(fargate_pod: FargateRig) -> None:
    """The container's files on its overlay: what it wrote, the directories above, and nothing else of the image's."""
    out = io.BytesIO()
    frames = Frames(out)
    began = (fargate_pod.merged / "app/made").stat().st_ctime
    Changed(frames, began - 0.5).write(str(fargate_pod.merged), "node/c.tar")
    frames.end({})
    files, _ = items(out.getvalue())
    data, trailer = files["node/c.tar"]
    assert {"app/made", "app/config", "root/inside", "etc/changed"} <= members(data)
    assert not {"app/same", "etc/inner/old", "kept/old", "bin/sh"} & members(data)
    assert trailer["facts"]["older"] > 5


def test_a_directory_that_may_not_be_entered(fargate_pod: FargateRig) -> None:
    """/root was copied up when a file was made in it, /kept was not; elsewhere than on an overlay nobody can tell."""
    for fstype, refused in (("overlay", 1), ("ext4", 2)):
        out = io.BytesIO()
        frames = Frames(out)
        began = (fargate_pod.merged / "app/made").stat().st_ctime
        with as_user(1000):
            Changed(frames, began - 0.5, fstype).write(f"/proc/{fargate_pod.pid}/root", "node/c.tar")
        frames.end({})
        _, end = items(out.getvalue())
        assert [(gap["count"], gap["why"], gap["missing"]) for gap in end["gaps"] if gap["kind"] == "file"] == [
            (refused, "Permission denied", True)
        ]  # fmt: skip


def test_places_that_may_be_written_to(fargate_pod: FargateRig) -> None:
    top, others = places(str(fargate_pod.pid))
    assert top is not None
    assert (top.point, top.fstype) == ("/", "overlay")
    points = {place.point: place.fstype for place in others}
    assert (points["/data"], points["/dev"], "/proc" in points) == ("tmpfs", "tmpfs", False)


def test_a_volume_once_and_no_network(fargate_pod: FargateRig, tmp_path: Path) -> None:
    out = io.BytesIO()
    frames = Frames(out)
    written = Written(frames, True)
    pid, root = str(fargate_pod.pid), f"/proc/{fargate_pod.pid}/root"
    for name in ("a", "b"):
        written.container(pid, root, name, time.time() + 10)
    (tmp_path / "termination-log").write_text("why")
    for place in (Place("/efs", "nfs4", "0:1", "/"), Place("/gone", "ext4", "0:2", "/"),
                  Place("/termination-log", "ext4", "0:3", "/")):  # fmt: skip
        written._volume(place, f"{tmp_path}{place.point}", f"node/containers/a/volumes{place.point}")
    written.container("4194305", root, "c", 0)
    frames.end({})
    files, end = items(out.getvalue())
    assert members(files["node/containers/a/volumes/data.tar"][0]) == {"note"}
    assert "node/containers/b/volumes/data.tar" not in files
    assert files["node/containers/a/volumes/termination-log"][0] == b"why"
    assert {"app/same", "bin/sh"} <= members(files["node/containers/a/rootfs.tar"][0])
    assert {(gap["kind"], gap["where"], gap["missing"]) for gap in end["gaps"]} >= {
        ("volume", "/efs", False), ("volume", "/gone", False), ("mount table", "pid 4194305", True),
    }  # fmt: skip
