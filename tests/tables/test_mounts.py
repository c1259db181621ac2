# SPDX-License-Identifier: Apache-2.0
"""Mounts as /proc/PID/mountinfo listed them, every field, in every namespace; and those that it hides."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memir.kube.ram import RamSource
from memir.tables.mounts import TABLE, read
from tests.images import case

NodeOf = Callable[[str], RamSource]
FIELDS = (
    "parent_id", "device", "root", "mount_point", "options", "propagation", "fstype", "device_name", "super_options",
)  # fmt: skip


def recorded(image: str) -> dict[int, list[str]]:
    """Lines of mountinfo by number of the namespace, of the first process in it."""
    raw: Any = case(image).raw_truth()
    if not case(image).small:
        return {int(ns[5:-1]): [" - ".join(line) for line in lines] for ns, lines in raw["mounts"].items()}
    found: dict[int, list[str]] = {}
    for one in raw["proc"]:
        if one.get("mountinfo") and one["ns"]["mnt"]:
            found.setdefault(int(one["ns"]["mnt"][5:-1]), one["mountinfo"].splitlines())
    return found


def plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)


def fields(line: str) -> tuple[int, dict[str, Any]]:
    """(number, fields) of a line; of a file system's options only those that are not its own."""
    own, rest = line.split(" - ")
    number, parent, device, root, point, options, *tags = own.split(" ")
    fstype, name, super_options = rest.split(" ", 2)
    return int(number), {
        "parent_id": int(parent),
        "device": device,
        "root": plain(root),
        "mount_point": plain(point),
        "options": options.split(","),
        "propagation": tags,
        "fstype": fstype,
        "device_name": plain(name),
        "super_options": [word for word in super_options.split(",") if word in ("ro", "rw", "sync", "dirsync")],
    }


def test_every_field_of_every_mount(image: str, node_of: NodeOf) -> None:
    """Both ways: no mount of /proc is missing or different, and none that is not marked hidden is added."""
    rows = TABLE.read(node_of(image)).rows()
    shown = {
        (row["mnt_ns"], row["mount_id"]): {name: row[name] for name in FIELDS} for row in rows if not row["hidden"]
    }
    truth = {(ns, number): line for ns, lines in recorded(image).items() for number, line in map(fields, lines)}
    assert len(truth) > 60
    # kdevtmpfs has a namespace of its own, whose mounts the recorder of the small images did not list
    listed = {key: line for key, line in shown.items() if key[0] in recorded(image)}
    assert listed == truth
    assert all(row["seen_by"] == ["namespace", "superblock"] for row in rows if not row["hidden"])


def test_what_proc_hides(image: str, node_of: NodeOf) -> None:
    """The initial file system below each root; mounts of no namespace are known of their file system alone."""
    rows = TABLE.read(node_of(image)).rows()
    hidden = [row for row in rows if row["hidden"] and row["mnt_ns"] is not None]
    assert {"rootfs"} <= {row["fstype"] for row in hidden}
    assert len({row["mnt_ns"] for row in hidden if row["fstype"] == "rootfs"}) >= len(recorded(image))
    assert {tuple(row["seen_by"]) for row in rows if row["mnt_ns"] is None} == {("superblock",)}
    assert len({(row["mnt_ns"], row["mount_id"]) for row in rows}) == len(rows)


def test_volumes_and_owners(image: str, node_of: NodeOf) -> None:
    """A container's volumes bear its own pod's UID and lie where the node has them."""
    node = node_of(image)
    rows = TABLE.read(node).rows()
    tokens = [row for row in rows if row["volume_kind"] == "projected" and row["container_id"]]
    assert tokens
    for row in tokens:
        assert row["mount_point"].endswith("serviceaccount") or "/host/" in row["mount_point"] or row["volume_name"]
        assert (
            f"/pods/{row['volume_pod_uid']}/volumes/kubernetes.io~projected/{row['volume_name']}" in row["source_path"]
        )
    assert {row["volume_pod_uid"] for row in tokens} <= {row["pod_uid"] for row in rows} | {None} | {
        row["volume_pod_uid"] for row in rows if row["mnt_ns"] == node.membership.host["mnt"]
    }
    own = [row for row in tokens if row["mount_point"] == "/var/run/secrets/kubernetes.io/serviceaccount"]
    assert all(row["volume_pod_uid"] == row["pod_uid"] for row in own)
    host = [row for row in rows if row["mnt_ns"] == node.membership.host["mnt"]]
    assert host and {row["container_id"] for row in host} == {None}
    assert list(node.gaps) == [gap for gap in node.gaps if "mount" not in gap.kind]


@pytest.mark.parametrize("name", ["s-6.1-small"])
def test_rows_are_sorted_and_their_keys_are_namespaces(name: str, node_of: NodeOf) -> None:
    frame = read(node_of(name))
    order = [(ns or 0, number) for ns, number in zip(frame["mnt_ns"], frame["mount_id"], strict=True)]
    assert order == sorted(order)
    assert frame.keys == frame["mnt_ns"]


def test_read_checkpoint_gives_what_its_archive_holds() -> None:
    from memir.checkpoint.source import CheckpointSource
    from memir.tables.mounts import read_checkpoint
    from tests.checkpoint.sample import archive

    assert list(read_checkpoint(CheckpointSource(archive()))["fstype"])[:3] == ["tmpfs", "tmpfs", "tmpfs"]


def test_read_collected_gives_what_its_folder_holds(tmp_path: Path) -> None:
    from memir.collected.source import CollectedSource
    from memir.tables.mounts import read_collected
    from tests.collected.made import folder

    assert list(read_collected(CollectedSource(folder(tmp_path / "ev")))["mount_point"]) == ["/"]
