# SPDX-License-Identifier: Apache-2.0
"""Key files: OpenSSH's own format, PEM and PKCS#8, encrypted or not, with their certificates; public halves."""

from __future__ import annotations

import base64
import binascii
import io
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from memir.errors import AccessError, UsageError

if TYPE_CHECKING:
    import paramiko

MAX_FILE = 1 << 20
TRIES = 3
"""How often a passphrase is asked for, as ssh does (NumberOfPasswordPrompts)."""

Ask = Callable[[Path], str | None]
"""Gives the passphrase of a file, None where nobody can be asked."""


def load_key(path: Path, ask: Ask) -> paramiko.PKey:
    """The private key in a file.

    Raises UsageError naming file and reason where it holds none that ssh would take, AccessError where it is encrypted
    and nobody tells the passphrase.
    """
    import paramiko
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    data = _read(path)
    if public_blob(data) is not None:
        raise UsageError(
            f"{path} is a public key, and no agent holds its private half: run "
            f"`ssh-add {shlex.quote(str(private_of(path)))}`, or give --identity with the private key's file"
        )
    if data.startswith(b"PuTTY-User-Key-File"):
        raise UsageError(f"{path} is a key of PuTTY's, which ssh does not read either: export it in OpenSSH's format")
    if b"-----BEGIN" not in data:
        raise UsageError(f"{path} is no private key (no line says BEGIN ... PRIVATE KEY)")
    opened = _unlock(path, data, ask)
    try:
        # paramiko reads OpenSSH's format best: RSA and ECDSA of PKCS#8 not at all, Ed25519 neither
        text = opened.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        ).decode()
    except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path} holds a key of a kind that SSH does not use ({type(opened).__name__})") from error
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text))
        except paramiko.SSHException:
            continue
    raise UsageError(f"{path} holds a key of a kind that memir cannot use ({type(opened).__name__}): take another key")


def certificate_of(key: paramiko.PKey, path: Path) -> paramiko.PKey | None:
    """The key with the certificate in a file; None where that is not this key's.

    Raises UsageError where the file holds no certificate.
    """
    import copy

    import paramiko

    certified = copy.copy(key)
    try:
        certified.load_certificate(str(path))
        blob = certified.public_blob.key_blob if certified.public_blob else b""
        # string kind, string nonce, then what the plain key has behind its kind (PROTOCOL.certkeys)
        start = 4 + int.from_bytes(blob[:4], "big")
        start += 4 + int.from_bytes(blob[start : start + 4], "big")
        plain = key.asbytes()
        fits = blob[start:].startswith(plain[4 + int.from_bytes(plain[:4], "big") :])
    except (OSError, ValueError, AttributeError, paramiko.SSHException) as error:
        raise UsageError(f"{path} is no certificate: {error}") from error
    return certified if fits else None


def public_of(path: Path) -> bytes | None:
    """The public half of an identity, without its passphrase: FILE.pub, FILE itself, or OpenSSH's plain header.

    None where no file tells it.
    """
    for each in (path, path.with_name(f"{path.name}.pub")):
        try:
            data = _read(each)
        except UsageError:
            continue
        blob = public_blob(data) or _header_blob(data)
        if blob is not None:
            return blob
    return None


def public_blob(data: bytes) -> bytes | None:
    """The key of a .pub file's first line, None where it is none."""
    words = data.split(b"\n", 1)[0].split()
    if len(words) < 2 or b"-----" in words[0]:
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    size = int.from_bytes(blob[:4], "big")
    return blob if blob[4 : 4 + size] == words[0] else None


def private_of(path: Path) -> Path:
    """The file that a .pub file stands beside."""
    return path.with_suffix("") if path.suffix == ".pub" else path


def _header_blob(data: bytes) -> bytes | None:
    """The public key that OpenSSH's format keeps in the clear before the encrypted part (PROTOCOL.key)."""
    if not data.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----"):
        return None
    try:
        raw = base64.b64decode(b"".join(data.split(b"\n")[1:]).partition(b"-----")[0])
    except (binascii.Error, ValueError):
        return None
    position = len(b"openssh-key-v1\0")
    for skipped in ("cipher", "kdf", "options"):
        del skipped
        position += 4 + int.from_bytes(raw[position : position + 4], "big")
    position += 4  # the number of keys: one
    size = int.from_bytes(raw[position : position + 4], "big")
    blob = raw[position + 4 : position + 4 + size]
    return blob if size and len(blob) == size else None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE)
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {error.strerror or error}") from error


def _unlock(path: Path, data: bytes, ask: Ask):  # type: ignore[no-untyped-def]  # any of cryptography's key classes
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    openssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        return load(data, None)
    except TypeError:
        pass
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"the key {path} cannot be read: {str(error).splitlines()[0][:120]}") from error
    wrong = False
    for _ in range(TRIES):
        passphrase = ask(path)
        if passphrase is None:
            break
        try:
            return load(data, passphrase.encode())
        except (ValueError, TypeError):
            wrong = True
        except UnsupportedAlgorithm as error:
            raise UsageError(f"the key {path} cannot be read: {str(error).splitlines()[0][:120]}") from error
    why = "its passphrase is wrong" if wrong else "nobody can be asked for its passphrase"
    add = f"ssh-add {shlex.quote(str(path))}"
    raise AccessError(f"the key {path} is encrypted and {why}: run `{add}`, and memir takes it from the agent")
