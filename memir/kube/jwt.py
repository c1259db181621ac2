# SPDX-License-Identifier: Apache-2.0
"""Service account tokens: whose they are, without showing or checking them.

A bound token's claims name the pod it was made for (KEP-1205; pkg/serviceaccount/claims.go of
kubernetes/kubernetes), a legacy one's its secret (pkg/serviceaccount/legacy.go). The signature is not
verified: memory holds no key, and the claims are a witness like any other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from memir.kube.fields import Fields

# Header, claims, signature: some 100, 800 and 342 bytes of a service account's token. Bounds and possessive
# repeats keep the search linear on hostile text.
TOKEN = re.compile(rb"eyJ[0-9A-Za-z_-]{10,300}+\.eyJ[0-9A-Za-z_-]{10,8000}+\.[0-9A-Za-z_-]{20,2000}+")
MAX_TOKEN = 16 << 10  # Kubernetes tokens have 1 to 2 KiB
_LEGACY = "kubernetes.io/serviceaccount/"


@dataclass(frozen=True, slots=True)
class ServiceAccountToken:
    """What a token says of itself; nothing in it is verified, and the token itself is not kept.

    masked: how to show it. sha256: of the whole token, to compare with another finding of it.
    expires, issued: UTC.
    """

    masked: str
    sha256: str
    namespace: str | None = None
    service_account: str | None = None
    service_account_uid: str | None = None
    pod_name: str | None = None
    pod_uid: str | None = None
    node: str | None = None
    secret: str | None = None
    issuer: str | None = None
    audiences: tuple[str, ...] = ()
    issued: datetime | None = None
    expires: datetime | None = None


def mask(secret: str | bytes) -> str:
    """A secret as it may be shown: how it starts, how long it is, and a hash to know it again by."""
    raw = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
    # Of a short secret even its first letters say too much.
    start = raw[:4].decode("ascii", "replace") if len(raw) >= 32 and raw[:4].isalnum() else ""
    return f"{start}*** ({len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()[:16]})"


def decode_token(token: str | bytes) -> ServiceAccountToken | None:
    """Read a service account token's claims; None for any other text, other JSON web tokens included."""
    raw = token.encode("utf-8", "replace") if isinstance(token, str) else bytes(token[: MAX_TOKEN + 1])
    raw = raw.strip()
    if len(raw) > MAX_TOKEN or raw.count(b".") != 2:
        return None
    header, body, _ = raw.split(b".")
    claims = _segment(body)
    if _segment(header) is None or claims is None:
        return None
    read = Fields()
    bound = read.object(claims, "kubernetes.io")
    subject = read.string(claims, "sub") or ""
    parts = subject.split(":")
    from_subject = parts[2:] if parts[:2] == ["system", "serviceaccount"] and len(parts) == 4 else [None, None]
    account = read.object(bound, "serviceaccount")
    namespace = read.string(bound, "namespace") or read.string(claims, _LEGACY + "namespace") or from_subject[0]
    name = read.string(account, "name") or read.string(claims, _LEGACY + "service-account.name") or from_subject[1]
    if namespace is None and name is None:
        return None
    pod = read.object(bound, "pod")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
    return ServiceAccountToken(
        masked=mask(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        namespace=namespace,
        service_account=name,
        service_account_uid=read.string(account, "uid") or read.string(claims, _LEGACY + "service-account.uid"),
        pod_name=read.string(pod, "name"),
        pod_uid=read.string(pod, "uid"),
        node=read.string(read.object(bound, "node"), "name"),
        secret=read.string(read.object(bound, "secret"), "name") or read.string(claims, _LEGACY + "secret.name"),
        issuer=read.string(claims, "iss"),
        audiences=tuple(text for text in audiences if isinstance(text, str)),
        issued=_time(claims.get("iat")),
        expires=_time(claims.get("exp")),
    )


def claims_of(token: str) -> dict[str, Any] | None:
    """The claims of any JSON web token, nothing verified; None for any other text."""
    parts = token.strip().split(".")
    if len(token) > MAX_TOKEN or len(parts) != 3:
        return None
    try:
        raw = [part.encode("ascii") for part in parts]
    except UnicodeEncodeError:
        return None
    return _segment(raw[1]) if _segment(raw[0]) is not None else None


def find_tokens(data: bytes | memoryview) -> Iterator[tuple[int, ServiceAccountToken]]:
    """(offset, token) of every service account token in memory."""
    for match in TOKEN.finditer(data):
        token = decode_token(match.group())
        if token is not None:
            yield match.start(), token


def _segment(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _time(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
