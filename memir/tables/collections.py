# SPDX-License-Identifier: Apache-2.0
"""The table `collections`, and what other tables a collected pod gives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from memir.collected import rows
from memir.collected.sockets import socket_rows
from memir.collected.source import CollectedSource
from memir.tables.frame import Frame
from memir.tables.table import Column, Table, columns

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


def _read_pod(source: CollectedSource) -> Frame:
    """The one collection."""
    receipt = source.receipt
    done = receipt.collection
    try:
        finished = datetime.fromisoformat(receipt.finished)
    except ValueError:
        finished = None
    return _frame(COLUMNS, [{
        "folder": str(source.path), "finished_at": finished, "status": receipt.status, "missing": list(receipt.missing),
        "seconds": done.seconds, "transport_node": receipt.node.hostname, "asked_api": done.pod.asked_api,
        "files": done.received, "bytes": done.bytes, "memory": done.memory, "rootfs": done.rootfs,
        "source": "receipt.json",
    }], [""])  # fmt: skip


def _frame(own: tuple[Column, ...], made: list[rows.Row], keys: list[str]) -> Frame:
    """Rows that were made one by one, a column that they lack being null; keys: the container of each, "" the pod."""
    return Frame({column.name: [row.get(column.name) for row in made] for column in own}, keys=keys)


def _reader(give: Callable[[CollectedSource], rows.Rows]) -> Callable[[CollectedSource, tuple[Column, ...]], Frame]:
    return lambda source, own: _frame(own, *give(source))


READERS = {
    "pod": {
        "processes": _reader(rows.process_rows), "threads": _reader(rows.thread_rows),
        "files": _reader(rows.file_rows), "vmas": _reader(rows.vma_rows), "mounts": _reader(rows.mount_rows),
        "containers": _reader(rows.container_rows), "pods": _reader(rows.pod_rows), "sockets": _reader(socket_rows),
    }
}  # fmt: skip
"""By kind of source, the tables of other files that it gives: the registry adds these readers to them."""
TABLE = Table("collections", "A pod that `memir collect pod` collected.", COLUMNS, "pod_uid", {"pod": _read_pod})
