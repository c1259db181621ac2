# SPDX-License-Identifier: Apache-2.0
"""Private keys and the certificates that go with them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from memir.hunt.key_pairs import KeyPair, key_pairs
from tests.fuzz import cases, mutations

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(private: ec.EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    return private.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def certificate(private: ec.EllipticCurvePrivateKey, year: int, *, server: bool = False) -> str:
    subject = x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, "system:node:n1"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
    ])  # fmt: skip
    builder = x509.CertificateBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")]), subject, private.public_key(), 7, BEGIN,
        datetime(year, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    if server:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def pair(year: int, *, client: bool = True) -> KeyPair:
    expires = datetime(year, 1, 1, tzinfo=UTC)
    return KeyPair("system:node:n1", ("system:nodes",), "kubernetes", client, BEGIN, expires)


def test_key_pairs() -> None:
    mine, other = key(), key()
    certificates = [certificate(mine, 2027), certificate(mine, 2028), certificate(key(), 2029), "no certificate"]
    assert key_pairs([pem(mine), pem(other)], certificates) == {pem(mine): pair(2028)}
    assert key_pairs([pem(mine)], [certificate(mine, 2027, server=True)]) == {pem(mine): pair(2027, client=False)}
    assert key_pairs([], certificates) == {} and key_pairs(["no key"], certificates) == {}


@pytest.mark.parametrize("which", ["key", "certificate"])
def test_damaged_ones_are_left_out(which: str) -> None:
    mine = key()
    text = {"key": pem(mine), "certificate": certificate(mine, 2027)}
    for damaged in mutations([text[which].encode()], cases(150, 3000)):
        given = {**text, which: damaged.decode("latin-1")}
        known = key_pairs([given["key"]], [given["certificate"]])
        assert set(known) <= {given["key"]}
