# SPDX-License-Identifier: Apache-2.0
"""The table `collections`: what is told of the collection of a pod as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from memir.tables.frame import Frame
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.collected.source import CollectedSource

COLUMNS = columns("""
    folder           string       path of the folder
    finished_at      timestamp    when the collection ended, by the controller's clock, UTC
    status           string       complete, partial or interrupted, as the run judged it
    missing          list<string> why it is not whole
    seconds          float64      how long it took; nothing was stopped meanwhile
    transport_node   string       host name of the node that was reached
    asked_api        bool         whether the API server was asked
    files            int64        files that came from the node
    bytes            int64        bytes of all files
    memory           bool         whether processes' memory was asked for
    rootfs           bool         whether whole root file systems were asked for
    source           string       where the row comes from
""")


def read_collected(source: CollectedSource) -> Frame:
    """The one collection."""
    receipt = source.receipt
    done = receipt.collection
    try:
        finished = datetime.fromisoformat(receipt.finished)
    except ValueError:
        finished = None
    return frame_of(COLUMNS, source.gaps, [{
        "folder": str(source.path), "finished_at": finished, "status": receipt.status, "missing": list(receipt.missing),
        "seconds": done.seconds, "transport_node": receipt.node.hostname, "asked_api": done.pod.asked_api,
        "files": done.received, "bytes": done.bytes, "memory": done.memory, "rootfs": done.rootfs,
        "source": "receipt.json",
    }], [""])  # fmt: skip


TABLE = Table("collections", "A pod that `memir collect pod` collected.", COLUMNS, "pod_uid", {"pod": read_collected})
