# SPDX-License-Identifier: Apache-2.0
"""The manifest: an append-only list of records, each with the hash of the one before, signed at the end if
asked.

A record is one line of JSON. Its `hash` is the SHA-256 of the line's other fields as canonical JSON (sorted
keys, no spaces, ASCII), `prev` is the hash of the record before (64 zeros for the first). Whoever changes,
drops or moves a line breaks the chain from there on; whoever cuts the end off loses the `end` record and the
signature.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.errors import CustodyError, StorageError, UsageError
from memir.evidence.folder import MANIFEST, SIGNATURE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

START = "0" * 64
CONTEXT = b"memir manifest v1\n"
MAX_LINE = 64 << 20


def now() -> str:
    """UTC with microseconds, as ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def canonical(record: Mapping[str, object]) -> bytes:
    """The bytes that are hashed and written."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def record_hash(record: Mapping[str, object]) -> str:
    """SHA-256 of a record without its own hash."""
    return hashlib.sha256(canonical({key: value for key, value in record.items() if key != "hash"})).hexdigest()


class Manifest:
    """Appends records, each synced to the disk before the next step is done."""

    def __init__(self, folder: Path, clock: Callable[[], str] = now) -> None:
        self.path = folder / MANIFEST
        self.head, self.count = START, 0
        self._clock = clock
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise StorageError(f"cannot start {self.path}: {error}") from error

    @classmethod
    def reopen(cls, folder: Path, clock: Callable[[], str] = now) -> tuple[Manifest, Chain, str]:
        """Go on with a manifest whose writer is gone: (it, its chain, a last line that was cut, "" if none).

        A line that was cut in the middle is taken off, and is the caller's to record. Raises CustodyError when the
        chain is broken elsewhere, StorageError when it cannot be written.
        """
        path = folder / MANIFEST
        try:
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            chain = read_chain(whole)
            require(chain)
            fd = os.open(path, os.O_WRONLY | os.O_APPEND)
            os.ftruncate(fd, len(whole))
        except OSError as error:
            raise StorageError(f"cannot go on with {path}: {error}") from error
        manifest = cls.__new__(cls)
        manifest.path, manifest._clock, manifest._fd = path, clock, fd
        manifest.head, manifest.count = chain.head, len(chain.records)
        return manifest, chain, data[len(whole) :].decode("utf-8", "backslashreplace")

    def add(self, event: str, **fields: object) -> str:
        """Append one record and give its hash. Raises StorageError when it cannot be written."""
        record: dict[str, object] = dict(fields)
        record.update(seq=self.count, utc=self._clock(), event=event, prev=self.head)
        record["hash"] = record_hash(record)
        line = canonical(record) + b"\n"
        try:
            done = 0
            while done < len(line):
                done += os.write(self._fd, line[done:])
            os.fsync(self._fd)
        except OSError as error:
            raise StorageError(f"cannot append to {self.path}: {error}") from error
        self.head = str(record["hash"])
        self.count += 1
        return self.head

    def close(self) -> None:
        """No more records."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True, slots=True)
class Chain:
    """A manifest as read: the records up to the first break, and what is wrong ("" if nothing)."""

    records: tuple[Mapping[str, Any], ...]
    head: str
    problem: str


def wrong_link(record: Mapping[str, object], line: bytes, seq: int, head: str) -> str:
    """Why a record is not the next of a chain, "" if it is. line: its bytes; head: the hash of the record before."""
    if record.get("prev") != head:
        return "does not follow the one before: one was changed, removed or put in here"
    if record.get("hash") != record_hash(record) or canonical(record) != line:
        return "its hash is not that of its content: it was changed"
    return "" if record.get("seq") == seq else f"has number {record.get('seq')!r}, not {seq}"


def read_chain(data: bytes) -> Chain:
    """Read and check a manifest's bytes. Never raises: what is wrong is said with its line."""
    records: list[Mapping[str, Any]] = []
    head = START

    def broken(line: int, why: str) -> Chain:
        return Chain(tuple(records), head, f"{MANIFEST} line {line}: {why}")

    if not data:
        return broken(1, "the manifest is empty")
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return broken(number, "not JSON")
        if not isinstance(record, dict):
            return broken(number, "not a record")
        if why := wrong_link(record, line, number - 1, head):
            return broken(number, why)
        records.append(record)
        head = record["hash"]
    if lines[-1]:
        return broken(len(lines), "cut in the middle")
    return Chain(tuple(records), head, "")


def load_private(path: Path) -> Ed25519PrivateKey:
    """An Ed25519 key in PEM or OpenSSH form, not encrypted. Raises UsageError with what to do."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the signing key {path}: {error}") from error
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = load(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path} is no private key that can be used without a passphrase: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} is not an Ed25519 key: make one with `openssl genpkey -algorithm ed25519 -out FILE`")
    return key


def load_public(path: Path) -> Ed25519PublicKey:
    """An Ed25519 public key in PEM or OpenSSH form."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

    try:
        data = path.read_bytes()
        key = load_ssh_public_key(data) if data.startswith(b"ssh-") else load_pem_public_key(data)
    except OSError as error:
        raise UsageError(f"cannot read the public key {path}: {error}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path} is no public key: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path} is not an Ed25519 key")
    return key


def raw_public(key: Ed25519PublicKey) -> str:
    """The 32 bytes of a public key in hex."""
    return key.public_bytes_raw().hex()


def signed_message(head: str, count: int) -> bytes:
    """What a signature is over: the last record's hash and the number of records."""
    return CONTEXT + f"{count}\n{head}\n".encode()


def sign(key: Ed25519PrivateKey, head: str, count: int) -> bytes:
    """The content of manifest.sig."""
    document = {
        "algorithm": "Ed25519",
        "public_key": raw_public(key.public_key()),
        "records": count,
        "head": head,
        "signature": key.sign(signed_message(head, count)).hex(),
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def check_signature(data: bytes, chain: Chain, trusted: Ed25519PublicKey | None) -> tuple[str, list[str]]:
    """The signer's key in hex ("" if unreadable) and what does not match.

    Raises nothing on hostile content; `trusted` None means that the key in the file is taken as it is.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        document = json.loads(data)
        named = str(document["public_key"])
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(named))
        signature = bytes.fromhex(document["signature"])
        count, head = int(document["records"]), str(document["head"])
        message = signed_message(head, count)  # ValueError where the head has half a character
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return "", [f"{SIGNATURE} cannot be read: {error}"]
    wrong = []
    if trusted is not None and raw_public(trusted) != named:
        wrong.append(f"{SIGNATURE} is by the key {named}, not by the key that you trust")
    if (count, head) != (len(chain.records), chain.head):
        wrong.append(f"{SIGNATURE} is over {count} records, the manifest has {len(chain.records)}, or another head")
    try:
        key.verify(signature, message)
    except InvalidSignature:
        wrong.append(f"{SIGNATURE} does not hold: it is not this key's signature over this manifest")
    return named, wrong


def require(chain: Chain) -> Sequence[Mapping[str, Any]]:
    """The records of a whole chain. Raises CustodyError at a break."""
    if chain.problem:
        raise CustodyError(chain.problem)
    return chain.records
