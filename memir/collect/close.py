# SPDX-License-Identifier: Apache-2.0
"""Closing a collection whose controller was killed: what arrived is hashed, recorded, signed, and can be read.

The node is not asked: its collector ends when its stream does, and a privileged pod ends by itself.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memir.acquire.close import check_killed, node_of, read_killed, reopened
from memir.acquire.receipt import CustodyLog, seal_manifest, version
from memir.acquire.sinks.file import FileSink
from memir.documents import encode
from memir.errors import UsageError
from memir.evidence.collected import FOLDERS, CollectedGap, Collection, CollectionBegin, of_node
from memir.evidence.custody import Manifest, now
from memir.evidence.folder import entries, open_file
from memir.evidence.pod_receipt import KIND, PodReceipt
from memir.evidence.records import SCHEMA, Begin, CaptureRecord, VerdictRecord, files_of, last

KILLED = "the controller was killed before the run ended"
WAY = "not asked; the collector ends with its stream, and a privileged pod by itself within 15 minutes"


def close_collection(folder: Path, sign_key: Path | None = None) -> PodReceipt:
    """The receipt of the run, as it was written. Raises UsageError when there is nothing to close, CustodyError."""
    records, key = read_killed(folder, sign_key)
    begin, what = last(records, "begin", Begin), last(records, "pod", CollectionBegin)
    if begin is None or what is None:
        raise UsageError(f"{folder} is no collection of a pod that has begun (of RAM: `memir acquire close FOLDER`)")
    check_killed(folder, records, begin, key)
    with reopened(folder) as manifest:
        known = {file.name: file.size for file in files_of(records)}
        cut = list(_record_rest(folder, manifest, known)) if not what.where else list(_unfinished(records))
        collection = Collection(
            what.pod, None, None, sum(map(of_node, known)), sum(known.values()), 0, 0.0,
            what.memory, what.rootfs, (CollectedGap("run", "the collection", KILLED, missing=True), *cut), what.where,
        )  # fmt: skip
        missing = (KILLED, *(f"{gap.kind} {gap.where}: {gap.why}" for gap in cut))
        receipt = PodReceipt(
            kind=KIND, memir=version(), run=begin.run, status="interrupted", missing=missing, notes=(), finished=now(),
            node=node_of(begin), clock_offset=begin.node.clock_offset,
            collection=collection, left_on_node=_left(begin), traces=begin.plan.traces, schema=SCHEMA, case=begin.case,
        )  # fmt: skip
        manifest.add("collection", **encode(collection))
        manifest.add("verdict", **encode(VerdictRecord("interrupted", missing)))
        log = CustodyLog(manifest, folder, FileSink(folder))
        seal_manifest(log, key, receipt.write(), "interrupted", receipt.document())
    return receipt


def _left(begin: Begin) -> tuple[str, ...]:
    """What the run left, as far as its record tells."""
    if begin.transport != "ephemeral":
        return (WAY,)
    name, pod = begin.identity.get("in", ""), begin.identity.get("pod", "")
    return (WAY, f"ephemeral container {name} of pod {pod}, in its specification until it is gone")


def _record_rest(folder: Path, manifest: Manifest, known: dict[str, int]) -> Iterator[CollectedGap]:
    """Record the files that were being written; a gap for each."""
    for name, kind in list(entries(folder)):
        if kind != "file" or name in known or not name.startswith(FOLDERS):
            continue
        with os.fdopen(open_file(folder, name), "rb") as file:
            digest, size = hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size
        manifest.add("file", name=name, size=size, sha256=digest, stored={})
        known[name] = size
        yield CollectedGap("file", name, "it was being written when the controller was killed: not whole", missing=True)


def _unfinished(records: Sequence[Mapping[str, Any]]) -> Iterator[CollectedGap]:
    """Large files of a collection in S3 whose upload was not completed; a gap for each."""
    stored = {file.stored.get("UploadId") for file in files_of(records)}
    for record in records:
        begun = last([record], "capture", CaptureRecord)
        if begun is not None and begun.upload_id not in stored:
            why = f"its upload {begun.upload_id} is not complete; its parts are kept until it is aborted"
            yield CollectedGap("file", begun.where, why, missing=True)
