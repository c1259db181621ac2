# SPDX-License-Identifier: Apache-2.0
"""Check a case against its seal: every table, case.json, the chain, and who signed it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memir.case.identity import Identity
from memir.case.read_record import read_record
from memir.case.record import CASE_FILE
from memir.case.seal import CHAIN, SIGNATURE, Seal, check_signature, read_seal, sha256_file
from memir.case.store import FINDINGS_FILE, TABLES_FOLDER, sealed_findings, table_files
from memir.errors import CaseError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

UNSIGNED = "unsigned: anyone can seal it again"


@dataclass(frozen=True)
class Check:
    """What a check of a case gave. signer: key in hex that signed the last entry, else null."""

    seal: Seal
    identity: Identity | None
    problems: tuple[str, ...]
    signer: str | None
    signed: str

    @property
    def holds(self) -> bool:
        """Whether everything is as it was sealed."""
        return not self.problems


def is_case(folder: Path) -> bool:
    """Whether a folder is a case: has case.json, which no evidence folder has."""
    return (folder / CASE_FILE).is_file()


def verify(folder: Path, public_key: Ed25519PublicKey | None = None) -> Check:
    """Check a case. public_key: the one that must have signed.

    Problems say what does not match; CaseError if the folder is no case or cannot be read.
    """
    record = read_record(folder)
    seal = read_seal(folder)
    problems = [seal.problem] if seal.problem else []
    if not seal.entries:
        if seal.problem == f"{CHAIN} is not there":
            problems = [f"{CHAIN} is not there: the case was never sealed (memir 0.1.0), or its seal was taken away"]
    else:
        problems += _contents(folder, seal)
    signature = folder / SIGNATURE
    try:
        data = signature.read_bytes()[: 1 << 16] if signature.is_file() else None
    except OSError as error:
        raise CaseError(f"{signature}: cannot be read: {error.strerror or error}") from error
    signed = check_signature(data, seal, public_key)
    problems += signed.problems
    count = len(seal.entries)
    if signed.signer is None or signed.problems:
        return Check(seal, record.identity, tuple(problems), None, UNSIGNED)
    if signed.entries < count:
        later = f"entries 1 to {signed.entries} are signed by {signed.signer}, the last {count - signed.entries} are "
        return Check(seal, record.identity, tuple(problems), None, later + UNSIGNED)
    return Check(seal, record.identity, tuple(problems), signed.signer, f"signed by {signed.signer}")


def _contents(folder: Path, seal: Seal) -> list[str]:
    """What of the folder is not as the last entry says."""
    last = seal.entries[-1]
    problems = []
    if sha256_file(folder / CASE_FILE) != last.case:
        problems.append(f"{CASE_FILE} is not what entry {len(seal.entries)} sealed: it was changed")
    if sealed_findings(folder) != last.findings:
        problems.append(f"{FINDINGS_FILE} is not what was sealed: it was changed")
    there = table_files(folder)
    for name in sorted(set(there) | set(last.tables)):
        place = f"{TABLES_FOLDER}/{name}.parquet"
        if name not in there:
            problems.append(f"{place} is not there, and was sealed")
        elif name not in last.tables:
            problems.append(f"{place} was never sealed: memir did not write it")
        elif sha256_file(there[name]) != last.tables[name]:
            problems.append(f"{place} is not what was sealed: it was changed")
    return problems
