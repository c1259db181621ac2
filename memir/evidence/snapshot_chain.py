# SPDX-License-Identifier: Apache-2.0
"""checkpoint-restore-operator's ForensicSnapshotChain, held against the checkpoint archives beside it.

`kubectl get forensicsnapshotchain NAME -o yaml` (criu.org/v1): status.snapshotChainRecords[] has index, podName,
containerName, checkpointPath, snapshotTime, sha256Hash, and previousSHA256Hash, which is the hash of the last record
before that has one (the operator goes on where hashing failed: forensicsnapshotchain_controller.go). The chain is an
object of the cluster and nobody signs it: who can write it can write all of it anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from memir.errors import EXIT_DONE, EXIT_EVIDENCE, EXIT_REMOTE, EXIT_UNSIGNED, CustodyError, worst

KIND = "ForensicSnapshotChain"
_GET = f"get it with `kubectl get {KIND.lower()} NAME -o yaml`"
_HASH = re.compile(r"[0-9a-f]{64}")
_LIMIT = 16 << 20
MOST = 10_000
"""Records of a chain that are read."""
_STEP = 1 << 20


@dataclass
class ChainResult:
    """What was checked of a chain. problems: what does not hold; missing: archives and hashes that are not there."""

    name: str
    records: int
    archives: int = 0
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts."""
        return not self.problems

    @property
    def exit_code(self) -> int:
        """3: it does not hold; 4: not all of it could be checked; 5: it holds, and nobody signed it."""
        return worst([
            EXIT_DONE if self.holds else EXIT_EVIDENCE, EXIT_REMOTE if self.missing and self.holds else EXIT_DONE,
            EXIT_UNSIGNED,
        ])  # fmt: skip


def is_chain(path: Path) -> bool:
    """Whether a file is such an object, by its beginning. Never raises."""
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        return False
    try:
        with path.open("rb") as file:
            return KIND.encode() in file.read(_LIMIT)
    except OSError:
        return False


def verify_chain(path: Path, progress: Callable[[str, int, int], None] | None = None) -> ChainResult:
    """Check a chain and the archives of its records, which lie in the chain's folder under their own names.

    CustodyError if the file is no such object. A path in it is only ever used for its last part.
    """
    chain = _chain(path)
    metadata = chain.get("metadata")
    name = str(metadata.get("name", path.name)) if isinstance(metadata, dict) else path.name
    status = chain.get("status")
    records = status.get("snapshotChainRecords") if isinstance(status, dict) else None
    if not isinstance(records, list) or not records:
        raise CustodyError(f"{path}: no status.snapshotChainRecords: {_GET}")
    result = ChainResult(name, len(records))
    spec = chain.get("spec")
    integrity = spec.get("integrity") if isinstance(spec, dict) else None
    algorithm = integrity.get("hashAlgorithm") if isinstance(integrity, dict) else None
    if algorithm is not None and str(algorithm).lower() != "sha256":
        result.problems.append(f"spec.integrity.hashAlgorithm is {str(algorithm)[:40]}: only sha256 can be checked")
    if len(records) > MOST:
        result.missing.append(f"{len(records) - MOST} records behind the first {MOST}: not read")
    previous = ""
    for place, record in enumerate(records[:MOST]):
        if not isinstance(record, dict):
            result.problems.append(f"record {place}: no object")
            continue
        previous = _check(result, place, record, previous, path.parent, progress)
    return result


def _check(
    result: ChainResult, place: int, record: dict[str, Any], previous: str, folder: Path,
    progress: Callable[[str, int, int], None] | None,
) -> str:  # fmt: skip
    """Check one record; the hash that the next one must name."""
    where = f"record {place}"
    if record.get("index") != place:
        result.problems.append(f"{where}: its index is {str(record.get('index'))[:20]}: a record lacks, or was put in")
    digest, before = record.get("sha256Hash") or "", record.get("previousSHA256Hash") or ""
    if not digest:
        result.missing.append(f"{where}: no hash: the operator could not make one, or it was taken away")
        return previous
    if not isinstance(digest, str) or not _HASH.fullmatch(digest):
        result.problems.append(f"{where}: sha256Hash is no SHA-256 in hex")
        return previous
    if before != previous:
        told = str(before)[:64] or "none"
        result.problems.append(f"{where}: names {told} as the hash before it, which is {previous or 'none'}")
    name = PurePosixPath(str(record.get("checkpointPath") or "")).name
    archive = folder / name
    if not name or not archive.is_file():
        result.missing.append(f"{where}: {name or 'no checkpointPath'} is not in {folder}: copy it there from the node")
        return digest
    result.archives += 1
    have = _sha256(archive, progress)
    if have != digest:
        result.problems.append(f"{where}: {name} has SHA-256 {have}, and the chain says {digest}")
    return digest


def _sha256(path: Path, progress: Callable[[str, int, int], None] | None) -> str:
    digest, size, done = hashlib.sha256(), path.stat().st_size, 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_STEP):
                digest.update(piece)
                done += len(piece)
                if progress is not None:
                    progress("hashing", done, size)
    except OSError as error:
        raise CustodyError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _chain(path: Path) -> dict[str, Any]:
    import yaml

    try:
        if path.stat().st_size > _LIMIT:
            raise CustodyError(f"{path}: larger than {_LIMIT >> 20} MiB: no {KIND}")
        document = yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise CustodyError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CustodyError(f"{path}: neither YAML nor JSON: {' '.join(str(error).split())[:120]}") from error
    if isinstance(document, dict) and isinstance(document.get("items"), list) and len(document["items"]) == 1:
        document = document["items"][0]
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise CustodyError(f"{path}: not one {KIND} of criu.org/v1: {_GET}")
    return document
