# SPDX-License-Identifier: Apache-2.0
"""Every recorded file of an evidence folder, read and hashed again: here, or where it is stored (parts.PartReader)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence, Set
from pathlib import Path

from memir.errors import AccessError, CustodyError, StorageError
from memir.evidence.findings import Findings
from memir.evidence.folder import inside, open_file
from memir.evidence.layers import Layers
from memir.evidence.parts import Body, PartReader
from memir.evidence.progress import Progress, Report
from memir.evidence.records import File

STEP = 1 << 20


def check_files(
    folder: Path, files: Sequence[File], where: str, reader: PartReader | None, findings: Findings,
    report: Report = lambda _: None, cut: Set[str] = frozenset(),
) -> int:  # fmt: skip
    """Add what does not match to `findings`; how many files were not read: they are in a store, and nobody reads it.

    where: s3://... where the files of a collection are, "" if all are in the folder. A file that is in the folder is
    read there. cut: files that were being written when their writer was killed. Raises RemoteError where the store does
    not answer; a file that it has not is a problem.
    """
    unread, done, expected = 0, 0, sum(file.size for file in files)
    layers = Layers(folder, files, where, reader, cut)
    for file in files:
        if inside(folder, file.name) is None:
            findings.wrong(file.name, "is a name that leads out of the folder, or a link")
            continue
        try:
            with os.fdopen(open_file(folder, file.name), "rb") as opened:
                size = os.fstat(opened.fileno()).st_size
                digest = _hash(opened, layers, file.name)[1] if size == file.size else ""
        except FileNotFoundError:
            if not _is_stored(file, where, findings):
                continue
            if reader is None:
                unread += 1
                continue
            try:
                with reader.open(f"{where}/{file.name}", str(file.stored.get("VersionId") or "")) as body:
                    size, digest = _hash(body, layers, file.name)
            except StorageError as error:
                findings.wrong(file.name, f"cannot be read in the store: {error}")
                continue
            done += size
            report(Progress(done, expected, 0.0, "verify"))
        except CustodyError as error:
            findings.wrong(file.name, str(error))
            continue
        if size != file.size:
            findings.wrong(file.name, f"has {size:,} bytes, recorded are {file.size:,}")
        elif digest != file.sha256:
            findings.wrong(file.name, f"has SHA-256 {digest}, recorded is {file.sha256}")
    findings.checked.append(f"{len(files) - unread} files")
    layers.judge(findings)
    return unread


def _is_stored(file: File, where: str, findings: Findings) -> bool:
    """Whether a file that is not in the folder is where the collection is; a record may name anyone's bucket."""
    place = file.stored.get("where") if where else None
    if place is None:
        findings.wrong(file.name, "is missing")
    elif place != f"{where}/{file.name}":
        findings.wrong(file.name, f"is recorded at {place}, not below {where}")
        place = None
    return place is not None


def _hash(body: Body, layers: Layers, name: str) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    with layers.passing(name) as passing:
        while chunk := body.read(STEP):
            size += len(chunk)
            digest.update(chunk)
            passing(chunk)
    return size, digest.hexdigest()


def check_names(where: str, known: Set[str], reader: PartReader, findings: Findings) -> None:
    """Objects below an address that no record names. Raises RemoteError where the store does not answer."""
    try:
        for name in reader.names(where):
            if name not in known:
                findings.wrong(f"{where}/{name}", "is not in the manifest")
    except AccessError as error:
        findings.notes.append(f"what else is at {where} was not looked for: {error}")
