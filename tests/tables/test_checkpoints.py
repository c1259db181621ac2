# SPDX-License-Identifier: Apache-2.0
"""The table `checkpoints`."""

from __future__ import annotations

from memir.checkpoint.source import CheckpointSource
from memir.tables.checkpoints import TABLE, read_checkpoint
from tests.checkpoint.sample import CONTAINER, archive, members


def test_the_one_archive() -> None:
    (row,) = TABLE.read(CheckpointSource(archive())).rows()
    assert (row["image_version"], row["processes"], row["runtime"]) == (2, 8, "io.containerd.runc.v2")
    assert row["pages"] * 4096 == sum(len(data) for name, data in members().items() if "/pages-" in name)
    assert row["pages_missing"] == 0
    assert (row["archive"], row["container_id"], row["pod_name"]) == (str(archive()), CONTAINER, "web-7d9f")
    assert row["taken_at"].year == 2026
    assert {"spec.dump", "rootfs-diff.tar", "checkpoint/descriptors.json"} <= set(row["files"])
    assert list(read_checkpoint(CheckpointSource(archive()))["processes"]) == [8]
