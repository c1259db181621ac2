# SPDX-License-Identifier: Apache-2.0
"""Checks a request's AWS Signature Version 4 by computing it again.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime


class SignatureError(Exception):
    """`code` is AWS's name for what is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def check(
    method: str, target: str, headers: Mapping[str, str], body: bytes, secrets: Mapping[str, str], *,
    service: str,
    region: str, tokens: Mapping[str, str] | None = None, expired: frozenset[str] | set[str] = frozenset(),
) -> str:  # fmt: skip
    """The access key that signed. `headers` in lower case; `tokens`: session tokens by access key."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
        r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
        headers.get("authorization", ""),
    )
    if not found:
        raise SignatureError("MissingAuthenticationTokenException", "Missing Authentication Token")
    key, day, where, what, signed, signature = found.groups()
    if key not in secrets:
        raise SignatureError("UnrecognizedClientException", "The security token included in the request is invalid.")
    if (where, what) != (region, service):
        raise SignatureError("InvalidSignatureException", f"Credential should be scoped to {region}/{service}")
    stamp = headers.get("x-amz-date", "")
    when = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs((datetime.now(UTC) - when).total_seconds()) > 900 or not stamp.startswith(day):
        raise SignatureError("InvalidSignatureException", f"Signature expired: {stamp}")
    names = signed.split(";")
    if "host" not in names or any(n.startswith("x-amz-") and n not in names for n in headers):
        raise SignatureError("InvalidSignatureException", "a header is not signed")
    path, _, query = target.partition("?")
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    quote = urllib.parse.quote
    canonical = "\n".join([
        method,
        quote(path or "/", safe="/-_.~%"),
        "&".join(f"{quote(a, safe='-_.~')}={quote(b, safe='-_.~')}" for a, b in pairs),
        *(f"{n}:{' '.join(headers[n].split())}" for n in names),
        "",
        signed,
        hashlib.sha256(body).hexdigest(),
    ])  # fmt: skip
    scope = f"{day}/{where}/{what}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    derived = _mac(_mac(_mac(_mac(b"AWS4" + secrets[key].encode(), day), where), what), "aws4_request")
    if not hmac.compare_digest(_mac(derived, text).hex(), signature):
        raise SignatureError("InvalidSignatureException", "The request signature we calculated does not match.")
    token = (tokens or {}).get(key, "")
    if headers.get("x-amz-security-token", "") != token:
        raise SignatureError("UnrecognizedClientException", "The security token included in the request is invalid.")
    if token and token in expired:
        raise SignatureError("ExpiredTokenException", "The security token included in the request is expired")
    return key
