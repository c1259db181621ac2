# SPDX-License-Identifier: Apache-2.0
"""What is secret reaches the node over SSM only as a CMS envelope (RFC 5652) to a key that the node has just
made.

The agent writes each command's whole text to its log, `_script.sh` and state file. The node's private key
lies in the run's tmpfs and goes with it, so that what the agent wrote cannot be opened afterwards
(docs/decisions/ssm-secrets.md).
"""

from __future__ import annotations

import base64
import binascii

from memir.errors import NodeError


def seal(data: bytes, certificate: bytes) -> bytes:
    """`data` as DER EnvelopedData for the holder of the certificate's key. `certificate`: PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

    try:
        recipient = x509.load_pem_x509_certificate(certificate)
        builder = pkcs7.PKCS7EnvelopeBuilder().set_data(data).add_recipient(recipient)
        return builder.encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])
    except (ValueError, TypeError) as error:
        raise NodeError(f"the node's certificate cannot be used ({error}): start the run again") from error


def unpack(text: str, what: str) -> bytes:
    """Base64 of gzip, bounded to 8 MiB, as the node's scripts write it. Raises NodeError."""
    import zlib

    try:
        raw = base64.b64decode(text, validate=True)
        inflater = zlib.decompressobj(31)
        data = inflater.decompress(raw, 8 << 20)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise NodeError(f"the node's {what} is not readable ({error}): it was changed or cut on its way") from error
    if inflater.unconsumed_tail or not inflater.eof:
        raise NodeError(f"the node's {what} is cut or larger than 8 MiB")
    return data
