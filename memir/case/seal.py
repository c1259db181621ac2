# SPDX-License-Identifier: Apache-2.0
"""The seal of a case: chain.jsonl, an entry for every write, each with the hash of the one before.

An entry is a line of canonical JSON as in an evidence folder's manifest (memir.evidence.custody). It says what was
written, when and by which memir, with the SHA-256 of case.json, of every table, and of the run's inputs (rule files,
the image where it was hashed). chain.sig signs the number of entries and the last one's hash with an Ed25519 key.
Whoever can write the folder can write chain and tables anew: only a signature by a key that you know says who did.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.documents import MAX_DOCUMENT, decode, encode, parse
from memir.errors import CaseError
from memir.evidence.custody import START, canonical, now, raw_public, record_hash, wrong_link

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

CHAIN, SIGNATURE = "chain.jsonl", "chain.sig"
CONTEXT = b"memir case v1\n"


@dataclass(frozen=True, slots=True)
class Input:
    """Something that a run read: kind is `image`, `rules`, `cluster` or `log`; sha256 is null where it has none."""

    kind: str
    path: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the chain.

    findings: SHA-256 of findings.json after it, null where there is none.
    event: the command. case: SHA-256 of case.json after it. tables: SHA-256 of every file in tables/ after it.
    written: the tables that it wrote. replaced: what --force took away. prev, hash: the chain.
    """

    seq: int
    utc: str
    event: str
    memir: str
    run: str
    case: str
    tables: Mapping[str, str]
    prev: str
    hash: str
    written: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    replaced: str | None = None
    findings: str | None = None


@dataclass(frozen=True, slots=True)
class Seal:
    """A chain as read: its entries up to the first break, the hash of the last, and what is wrong ("" if nothing)."""

    entries: tuple[Entry, ...] = ()
    head: str = START
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """What chain.sig holds. entries: how many it is over; head: hash of the last of them; keys and bytes in hex."""

    algorithm: str
    public_key: str
    entries: int
    head: str
    signature: str


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature is worth. signer: its key in hex, null without one; entries: how many it covers."""

    signer: str | None = None
    entries: int = 0
    problems: tuple[str, ...] = field(default=())


def read_seal(folder: Path) -> Seal:
    """The chain of a case. CaseError only if the file cannot be read; what is wrong in it is said in `problem`."""
    path = folder / CHAIN
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DOCUMENT + 1)
    except FileNotFoundError:
        return Seal(problem=f"{CHAIN} is not there")
    except OSError as error:
        raise CaseError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_DOCUMENT:
        return Seal(problem=f"{CHAIN} is longer than {MAX_DOCUMENT >> 20} MiB")
    return parse_seal(data)


def parse_seal(data: bytes) -> Seal:
    """Check a chain's bytes. Never raises: what is wrong is said with its line and field."""
    entries: list[Entry] = []
    head = START
    lines = data.split(b"\n")
    if lines[-1] or len(lines) == 1:
        return Seal(problem=f"{CHAIN} is empty" if not data else f"{CHAIN} line {len(lines)} is cut in the middle")
    for number, line in enumerate(lines[:-1], 1):
        where = f"{CHAIN} line {number}"
        try:
            document = parse(line, where, CaseError)
            entry = decode(Entry, document, where, CaseError)
        except CaseError as error:
            return Seal(tuple(entries), head, str(error))
        if why := wrong_link(document, line, number - 1, head):
            return Seal(tuple(entries), head, f"{where}: {why}")
        entries.append(entry)
        head = entry.hash
    return Seal(tuple(entries), head)


def append(folder: Path, seal: Seal, fields: Mapping[str, Any]) -> Seal:
    """Append an entry, on the disk when this returns. fields: of Entry without seq, utc, prev and hash."""
    entry: dict[str, Any] = encode(dict(fields))
    entry.update(seq=len(seal.entries), utc=now(), prev=seal.head)
    entry["hash"] = record_hash(entry)
    line = canonical(entry) + b"\n"
    path = folder / CHAIN
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CaseError(f"{path}: cannot be written: {error.strerror or error}") from error
    return Seal((*seal.entries, decode(Entry, entry, CHAIN, CaseError)), entry["hash"])


def sign(folder: Path, seal: Seal, key: Ed25519PrivateKey) -> None:
    """Write chain.sig over all entries."""
    public = raw_public(key.public_key())
    raw = key.sign(_message(len(seal.entries), seal.head)).hex()
    signature = Signature("Ed25519", public, len(seal.entries), seal.head, raw)
    path = folder / SIGNATURE
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(json.dumps(encode(signature), indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise CaseError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_signature(data: bytes | None, seal: Seal, trusted: Ed25519PublicKey | None = None) -> Signed:
    """Who signed how much of a chain. data: of chain.sig, None without one. Raises nothing on hostile content.

    trusted: the key that must have signed; None takes the one in the file as it is.
    """
    if data is None:
        return Signed(problems=() if trusted is None else (f"{SIGNATURE} is not there, and you name a key",))
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        document = decode(Signature, parse(data, SIGNATURE, CaseError), SIGNATURE, CaseError)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(document.public_key))
        raw = bytes.fromhex(document.signature)
    except (CaseError, ValueError) as error:
        return Signed(problems=(f"{SIGNATURE} cannot be used: {error}",))
    problems = []
    if trusted is not None and raw_public(trusted) != raw_public(key):
        problems.append(f"{SIGNATURE} is by the key {document.public_key}, not by the key that you trust")
    covered = seal.entries[document.entries - 1].hash if 0 < document.entries <= len(seal.entries) else None
    if covered != document.head:
        problems.append(f"{SIGNATURE} is over {document.entries} entries that are not those of {CHAIN}")
    try:
        key.verify(raw, _message(document.entries, document.head))
    except InvalidSignature:
        problems.append(f"{SIGNATURE} does not hold: it is not this key's signature over this chain")
    return Signed(raw_public(key), document.entries, tuple(problems))


def sha256_file(path: Path) -> str:
    """SHA-256 of a file. CaseError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CaseError(f"{path}: cannot be read: {error.strerror or error}") from error


def _message(entries: int, head: str) -> bytes:
    return CONTEXT + f"{entries}\n{head}\n".encode()
