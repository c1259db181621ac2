# SPDX-License-Identifier: Apache-2.0
"""The table `checkpoints`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memir.checkpoint.pages import PAGE
from memir.tables.frame import Frame
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.checkpoint.source import CheckpointSource

COLUMNS = columns("""
    archive          string       path of the archive
    taken_at         timestamp    when the runtime says that it was taken, UTC
    created_at       timestamp    when the runtime says that the container was created, UTC
    runtime          string       the runtime that wrote it, as it names itself
    image_version    int32        version of CRIU's images: 1, or 2 with a common magic
    processes        int32        processes in it
    pages            int64        pages of memory that its page maps name
    pages_missing    int64        those of them that the archive lacks
    files            list<string> files in it but for CRIU's images, the first hundred
    source           string       where the row comes from
""")
_MOST = 100


def read_checkpoint(source: CheckpointSource) -> Frame:
    """The one archive."""
    known, tree, archive = source.container, source.tree, source.archive
    return frame_of(COLUMNS, source.gaps, [{
        "archive": str(archive.path), "taken_at": None if known.taken is None else known.taken // 1000,
        "created_at": None if known.created is None else known.created // 1000, "runtime": known.runtime,
        "image_version": tree.version, "processes": len(tree.processes), "pages": tree.pages.total,
        "pages_missing": tree.pages.absent,
        "files": sorted(name for name in archive.files if not name.endswith(".img"))[:_MOST],
        "source": f"config.dump; inventory.img; pages of {PAGE} bytes",
    }])  # fmt: skip


TABLE = Table(
    "checkpoints", "A kubelet's checkpoint of one container.", COLUMNS, "container_id", {"checkpoint": read_checkpoint}
)
