# SPDX-License-Identifier: Apache-2.0
"""Which certificate goes with which private key, wherever in memory each lies: by the public key in both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What a certificate says of the holder of its key; nothing is verified. expires: UTC."""

    name: str
    organizations: tuple[str, ...]
    issuer: str
    client: bool
    begins: datetime
    expires: datetime


def key_pairs(keys: Iterable[str], certificates: Iterable[str]) -> dict[str, KeyPair]:
    """The certificate that lasts longest for each private key, by the key's PEM; keys without one are left out."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    wanted = {digest: key for key in set(keys) if (digest := _public_of_key(key)) is not None}
    known: dict[str, KeyPair] = {}
    if not wanted:
        return known
    for text in set(certificates):
        try:
            chain = x509.load_pem_x509_certificates(text.encode("latin-1", "replace"))
            for certificate in chain[:16]:
                key = wanted.get(_digest(certificate.public_key()))
                if key is None:
                    continue
                pair = _pair(certificate)
                if key not in known or pair.expires > known[key].expires:
                    known[key] = pair
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension):
            continue  # not whole, or only looks like one
    return known


def _public_of_key(pem: str) -> str | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return _digest(load_pem_private_key(pem.encode("latin-1", "replace"), None).public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm):  # damaged, encrypted, of a kind that is not known
        return None


def _digest(public: object) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    raw = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]  # all have it
    return hashlib.sha256(raw).hexdigest()


def _pair(certificate: object) -> KeyPair:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    assert isinstance(certificate, x509.Certificate)
    names = {
        oid: tuple(str(part.value) for part in certificate.subject.get_attributes_for_oid(oid))
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    }
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        client = ExtendedKeyUsageOID.CLIENT_AUTH in usage
    except x509.ExtensionNotFound:
        client = True  # a certificate that says nothing may be used for everything
    issuer = ", ".join(str(part.value) for part in certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME))
    return KeyPair(
        (names[NameOID.COMMON_NAME] or ("",))[0], names[NameOID.ORGANIZATION_NAME], issuer, client,
        certificate.not_valid_before_utc.astimezone(UTC), certificate.not_valid_after_utc.astimezone(UTC),
    )  # fmt: skip
