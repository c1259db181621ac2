# SPDX-License-Identifier: Apache-2.0
"""Closing a run whose controller was killed: what arrived is hashed, judged as interrupted, signed, and can be
analysed and verified. The node is not asked: its watchdog has cleaned up by itself.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.acquire.receipt import CustodyLog, close_manifest, signer_of, signing_key, version, who
from memir.acquire.sinks.file import PART, FileSink
from memir.errors import UsageError
from memir.evidence.collected import CollectionBegin
from memir.evidence.custody import Manifest, now, read_chain, require
from memir.evidence.folder import IMAGE, PARTIAL, SUFFIX, is_evidence, open_file, read_manifest
from memir.evidence.receipt import Receipt, ReceiptNode
from memir.evidence.records import SCHEMA, Begin, CaptureRecord, End, Image, Part, ToolRecord, last

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RESERVE = ".reserve"


def read_killed(folder: Path, sign_key: Path | None) -> tuple[Sequence[Mapping[str, Any]], Ed25519PrivateKey | None]:
    """(records, key) of a run that may have been killed: the manifest up to its last whole line. UsageError."""
    if not is_evidence(folder):
        raise UsageError(f"{folder} is no evidence folder")
    key = signing_key(sign_key)
    data = read_manifest(folder)
    return require(read_chain(data[: data.rfind(b"\n") + 1])), key


def check_killed(
    folder: Path, records: Sequence[Mapping[str, Any]], begin: Begin, key: Ed25519PrivateKey | None
) -> None:
    """UsageError where the run has ended, or began with another key."""
    if last(records, "end", End) is not None:
        raise UsageError(f"{folder}: that run has ended; look with `memir verify {shlex.quote(str(folder))}`")
    if begin.signer and signer_of(key) != begin.signer:
        raise UsageError(f"{folder}: the run began with the key {begin.signer}: give it with --sign-key")


@contextmanager
def reopened(folder: Path) -> Iterator[Manifest]:
    """The manifest of a killed run, with the record that it is closed, and by whom."""
    manifest, _, torn = Manifest.reopen(folder)
    try:
        manifest.add("problem", where="controller", why=f"killed; closed by {who()}; the last line was cut: {torn!r}")
        yield manifest
    finally:
        manifest.close()


def node_of(begin: Begin) -> ReceiptNode:
    """The node as the run began with it."""
    return ReceiptNode(begin.node.hostname, begin.node.kernel, begin.node.machine, begin.node.boot_id)


def close_run(folder: Path, sign_key: Path | None = None) -> Receipt:
    """The receipt of the run, as it was written. Raises UsageError when there is nothing to close."""
    records, key = read_killed(folder, sign_key)
    begin, tool = last(records, "begin", Begin), last(records, "tool", ToolRecord)
    if begin is None:
        raise UsageError(f"{folder}: the manifest has no begin: nothing is there to close")
    if last(records, "pod", CollectionBegin) is not None:
        raise UsageError(f"{folder} is of a pod: `memir collect close {shlex.quote(str(folder))}` closes it")
    check_killed(folder, records, begin, key)
    form = tool.format if tool is not None else "avml"
    capture = last(records, "capture", CaptureRecord)
    if capture is not None and capture.where.startswith("s3://"):
        image = Image(capture.where, 0, "", form, (), complete=False, stored={"UploadId": capture.upload_id})
    else:
        image = image_in(folder, form)
    with reopened(folder) as manifest:
        (folder / RESERVE).unlink(missing_ok=True)
        receipt = Receipt(
            memir=version(), run=begin.run, status="interrupted",
            missing=("the controller was killed before the run ended",),
            resume="run the same command again, with a new folder", notes=(), finished=now(),
            node=node_of(begin), clock_offset=begin.node.clock_offset,
            tool=tool or ToolRecord("", "", form, ()), image=image, seconds=0.0,
            store_seconds=0.0, banner="", coverage=None,
            left_on_node=("not asked; the watchdog removes the run when its grace is over",),
            traces=begin.plan.traces, schema=SCHEMA, case=begin.case,
        )  # fmt: skip
        close_manifest(CustodyLog(manifest, folder, FileSink(folder)), key, receipt)
    return receipt


def image_in(folder: Path, form: str) -> Image:
    """The image file that arrived, hashed in parts of 64 MiB as the run would have; where "" if there is none."""
    for name in (IMAGE + suffix + end for suffix in SUFFIX.values() for end in (PARTIAL, "")):
        try:
            descriptor = open_file(folder, name)
        except FileNotFoundError:
            continue
        parts: list[Part] = []
        whole, size = hashlib.sha256(), 0
        with os.fdopen(descriptor, "rb") as file:
            while chunk := file.read(PART):
                whole.update(chunk)
                parts.append(Part(len(parts) + 1, size, len(chunk), hashlib.sha256(chunk).hexdigest()))
                size += len(chunk)
        return Image(name, size, whole.hexdigest(), form, tuple(parts), complete=False)
    return Image("", 0, "", form, (), complete=False)
