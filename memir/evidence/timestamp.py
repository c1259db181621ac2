# SPDX-License-Identifier: Apache-2.0
"""RFC 3161 time stamps: what an authority says when the manifest's end existed (https://www.rfc-editor.org/rfc/rfc3161).

manifest.tsr holds the authority's response over `signed_message(head, count)` of custody.py, the bytes that a
signature is over as well. The run asks for it (memir/acquire/timestamp.py); here it is only checked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memir.errors import UsageError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_RESPONSE = 1 << 20
"""Bytes: a response with its certificates has some 5 KiB."""


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """time: UTC as ISO 8601. authority: as the token names it, "" if it does not. checked: against a trusted root."""

    time: str
    authority: str
    checked: bool


def read_timestamp(data: bytes, message: bytes, roots: Path | None = None) -> tuple[TimeStamp | None, str]:
    """(the time stamp, what is wrong with it: "" if nothing). roots: PEM certificates of authorities that are
    trusted, and an authority's own where the token lacks it.

    Without roots only the token's hash is compared: anyone can make such a token. Raises UsageError when the roots
    cannot be read, and nothing on hostile content.
    """
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    try:
        response = decode_timestamp_response(data)
        info = response.tst_info
        time = info.gen_time.strftime("%Y-%m-%dT%H:%M:%SZ")
        authority = getattr(info.name, "value", None)
        imprint = bytes(info.message_imprint.message)
    except (ValueError, TypeError, AttributeError) as error:
        return None, f"cannot be read: {error}"
    stamp = TimeStamp(time, authority.rfc4514_string() if authority is not None else "", checked=False)
    if imprint not in {getattr(hashlib, name)(message).digest() for name in ("sha256", "sha384", "sha512")}:
        return stamp, "is over other bytes than this manifest's end"
    if roots is None:
        return stamp, ""
    trusted = load_roots(roots)
    signers = [certificate for certificate in trusted if _may_stamp(certificate)]
    verifier = VerifierBuilder(roots=[certificate for certificate in trusted if certificate not in signers] or trusted)
    if signers:
        verifier = verifier.tsa_certificate(signers[0])
    try:
        verifier.build().verify_message(response, message)
    except (VerificationError, ValueError) as error:
        return stamp, f"does not hold for the authorities of {roots}: {error}"
    return TimeStamp(stamp.time, stamp.authority, checked=True), ""


def _may_stamp(certificate: Certificate) -> bool:
    """Whether it is an authority's own certificate, not a root: its key usage is time stamping."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.TIME_STAMPING in usage


def load_roots(path: Path) -> list[Certificate]:
    """Certificates of a PEM file. Raises UsageError."""
    from cryptography import x509

    try:
        return list(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the time stamp authorities' certificates {path}: {error}") from error
