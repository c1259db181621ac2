# SPDX-License-Identifier: Apache-2.0
"""Credentials of AWS in text: as the metadata service, STS, a credentials file and environments have them.

An access key id is no secret: it names who called in CloudTrail. The account lies in it (bits 47 to 8 of the base32
that follows the prefix; Tal Be'ery, "A short note on AWS KEY ID", 2023).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")
"""Long-term (AKIA) and temporary (ASIA) access keys, as IAM's documentation of unique identifiers has them."""
_QUOTE = r"[\"'>]?\s{0,4}(?:[:=,]\s{0,4}|)[\"']?"
_SECRET = re.compile(r"(?:secret_?access_?key)" + _QUOTE + r"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", re.IGNORECASE)
_TOKEN = re.compile(
    r"(?:session_?token|\"token|<token|security_?token)" + _QUOTE + r"([A-Za-z0-9/+]{80,4000}+={0,2})", re.IGNORECASE
)
_EXPIRES = re.compile(r"(?:Expiration)" + _QUOTE + r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|\+00:00))")
_MASK, _SHIFT = 0x7FFFFFFFFF80, 7


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """One set. key_id, secret, token, expires (ISO 8601): None is not there."""

    key_id: str | None
    secret: str | None
    token: str | None
    expires: str | None

    @property
    def account(self) -> str | None:
        """The account that the key is of, 12 digits."""
        return account_of(self.key_id) if self.key_id else None


def aws_keys(text: str) -> AwsKeys | None:
    """The first set of credentials in a text; None without a secret key, a session's token or a key id."""
    key_id = KEY_ID.search(text)
    parts = [pattern.search(text) for pattern in (_SECRET, _TOKEN, _EXPIRES)]
    secret, token, expires = (part.group(1) if part else None for part in parts)
    if not (key_id or secret or token):
        return None
    return AwsKeys(key_id.group() if key_id else None, secret, token, expires)


def account_of(key_id: str) -> str | None:
    """The account in an access key id; None for one of the old form, which has none."""
    try:
        raw = base64.b32decode(key_id[4:])
    except ValueError:  # binascii.Error is one
        return None
    number = (int.from_bytes(raw[:6], "big") & _MASK) >> _SHIFT
    return f"{number:012d}" if len(raw) >= 6 and number < 10**12 and key_id[4] >= "Q" else None
