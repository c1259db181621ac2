# SPDX-License-Identifier: Apache-2.0
"""Mount tables read: escapes, overlays' options, and whose root file system is where."""

from __future__ import annotations

import os
from pathlib import Path

from memir.collect.node.overlay import (
    Mount,
    lies_below,
    lower_layers,
    node_mounts,
    overlay_options,
    parse_mountinfo,
    root_of,
    unescape,
)
from tests.collect.podrig import SNAPSHOTS, TASKS, PodRig

ROW = (
    r"36 35 0:41 / /a\040b rw,relatime shared:1 master:2 - overlay overlay\011x rw,lowerdir=/l\\:1:/l2,"
    r"upperdir=/u\\,p,workdir=/w"
)


def test_a_row_of_mountinfo() -> None:
    assert unescape(r"a\040b\134") == "a b\\"
    (mount,) = parse_mountinfo(ROW.replace("\\\\", "\\134") + "\nno mount\n1 2 3\n")
    assert (mount.device, mount.point, mount.fstype, mount.source) == ("0:41", "/a b", "overlay", "overlay\tx")
    options = overlay_options(mount.options)
    assert (options["upperdir"], options["workdir"]) == ("/u,p", "/w")
    assert lower_layers(r"/l\:1:/l2::/data") == ["/l:1", "/l2", "/data"]


def test_the_nodes_table_is_believed_before_the_containers_own(pod: PodRig) -> None:
    mounts = node_mounts()
    point = f"{pod.root}{TASKS}/{pod.container}/rootfs"
    (of_node,) = {mount.point: mount for mount in mounts if mount.point == point}.values()
    by_path = root_of(pod.container, [], mounts)
    assert by_path is not None
    assert (by_path.merged, by_path.upper) == (point, f"{SNAPSHOTS}/2/fs")
    assert (by_path.lower, by_path.witness) == ([f"{SNAPSHOTS}/1/fs"], "the node's mount table")
    by_device = root_of("", [pod.pid], mounts)
    assert by_device is not None
    assert by_device.witness == f"the node's mount table, by the device of pid {pod.pid}"
    assert by_device.merged == point
    lying = Mount(of_node.device, "/", point, "overlay", "overlay", "upperdir=relative")
    liar = root_of(pod.container, [], [lying])
    assert liar is not None
    assert liar.upper == ""
    assert root_of("0" * 64, [], mounts) is None
    alone = root_of("", [pod.pid], [])
    assert alone is not None
    assert (alone.merged, alone.witness) == ("", f"the mount table of pid {pod.pid} alone")


def test_what_lies_below(tmp_path: Path) -> None:
    top, bottom = tmp_path / "top", tmp_path / "bottom"
    (bottom / "a/b").mkdir(parents=True)
    (bottom / "a/c").touch()
    (bottom / "d").mkdir()
    (bottom / "d/e").touch()
    (top / "a").mkdir(parents=True)
    os.mknod(top / "a/c", 0o20000, os.makedev(0, 0))
    (top / "d").symlink_to("/etc")
    layers = [str(top), str(bottom)]
    assert [lies_below(layers, path) for path in ("a/b", "a/c", "d/e", "d/hosts", "none/x")] == [
        True, False, False, False, False,
    ]  # fmt: skip
    assert not lies_below([], "a")
