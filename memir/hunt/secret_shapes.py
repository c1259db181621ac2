# SPDX-License-Identifier: Apache-2.0
"""What the bytes that a rule of memir.hunt.secret_rules matched are: secrets with what can be said of them.

Everything here is memory of a node that someone else had: nothing is trusted to be whole or what it looks like.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from memir.kube.aws_keys import account_of, aws_keys
from memir.kube.secret_names import secrets_in

_PEM = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?-----END [A-Z ]{0,30}PRIVATE KEY-----", re.DOTALL)
_REGISTRY = re.compile(r'^"([^"]+)"\s*:.*"auth"\s*:\s*"([^"]+)"', re.DOTALL)
_BASE64 = re.compile(r"[0-9A-Za-z+/]{100,}={0,2}")
_TOKEN = re.compile(r"eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{40,}")
# Letters of base64url that a signature has (RFC 7518): of RSA by the size of the key, 2,048 to 4,096 bits
_SIGNATURES = {
    "RS": (342, 512, 683), "ES256": (86,), "ES384": (128,), "ES512": (176,), "EdDSA": (86,),
    "HS256": (43,), "HS384": (64,), "HS512": (86,),
}  # fmt: skip


@dataclass(frozen=True)
class Exposed:
    """A secret in memory: kind, the name that it goes by there, its clear value, and facts beside it (JSON)."""

    kind: str
    name: str | None
    value: str
    facts: dict[str, Any] = field(default_factory=dict)


CERTIFICATE = "certificate"
"""Kind of what is no secret, but says whose a private key is."""


def shapes(rule: str, data: bytes) -> Iterator[Exposed]:
    """The secrets in what a rule matched; none in what only looks like one."""
    reader = _READERS.get(rule)
    if reader is not None:
        yield from reader(data.decode("latin-1"))


def _token(text: str) -> Iterator[Exposed]:
    match = _TOKEN.match(text)
    if match is None:
        return
    token = match.group()
    header, claims, signature = token.split(".")
    lengths = [size for size in _SIGNATURES.get(_algorithm(header), ()) if size <= len(signature)]
    if lengths:  # what lies behind it in memory may go on in letters of base64
        yield Exposed("token", None, f"{header}.{claims}.{signature[: max(lengths)]}")


def _algorithm(header: str) -> str:
    """The family and size of a token's signature: RS, ES256, ...; empty for what is no header."""
    try:
        value = json.loads(base64.b64decode(header + "=" * (-len(header) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    name = value.get("alg") if isinstance(value, dict) else None
    return "RS" if str(name)[:2] in ("RS", "PS") else str(name)


def _aws(text: str) -> Iterator[Exposed]:
    keys = aws_keys(text)
    if keys is None:
        return
    facts = {
        "access_key_id": keys.key_id, "account": keys.account, "expiration": keys.expires,
        "temporary": keys.key_id.startswith("ASIA") if keys.key_id else None,
    }  # fmt: skip
    known = {name: value for name, value in facts.items() if value is not None}
    if keys.secret:
        yield Exposed("aws secret key", keys.key_id, keys.secret, known)
    if keys.token:
        yield Exposed("aws session", keys.key_id, keys.token, known)
    elif keys.key_id and not keys.secret:
        yield from _aws_key_id(keys.key_id)


def _aws_key_id(text: str) -> Iterator[Exposed]:
    key_id = text[:20]
    facts = {"access_key_id": key_id, "account": account_of(key_id), "temporary": key_id.startswith("ASIA")}
    if facts["account"] is not None:  # 16 letters of base32 alone are a word of many other things
        yield Exposed("aws access key id", key_id, key_id, facts)


def _private_key(text: str) -> Iterator[Exposed]:
    match = _PEM.match(text)
    if match is not None:
        yield Exposed("private key", None, "\n".join(line.strip() for line in _lines(match.group())))


def _lines(pem: str) -> Iterator[str]:
    """Lines of a PEM text; in JSON and environments a line break may be written as two characters."""
    return (line for line in pem.replace("\\n", "\n").splitlines() if line.strip())


def _certificate(text: str) -> Iterator[Exposed]:
    yield Exposed(CERTIFICATE, None, text)


def _kubeconfig(text: str) -> Iterator[Exposed]:
    match = _BASE64.search(text)
    if match is None:
        return
    try:
        raw = base64.b64decode(match.group(), validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return
    for inner in (*_private_key(raw), *(_certificate(raw) if "BEGIN CERTIFICATE" in raw else ())):
        yield Exposed(inner.kind, "kubeconfig", inner.value)


def _registry(text: str) -> Iterator[Exposed]:
    match = _REGISTRY.match(text)
    if match is None:
        return
    try:
        plain = base64.b64decode(match[2], validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return
    user, colon, password = plain.partition(":")
    if colon and password and plain.isprintable():
        yield Exposed("registry password", match[1], password, {"registry": match[1], "user": user})


def _url(text: str) -> Iterator[Exposed]:
    for match in secrets_in(text):
        scheme, _, rest = text.partition("://")
        facts = {"scheme": scheme, "user": rest.partition(":")[0], "host": text.rpartition("@")[2]}
        yield Exposed(match.kind, match.name or facts["host"], text[match.start : match.end], facts)


_READERS = {
    "Token": _token, "Aws_Document": _aws, "Aws_Secret": _aws, "Aws_Key_Id": _aws_key_id, "Private_Key": _private_key,
    "Certificate": _certificate, "Kubeconfig_Key": _kubeconfig, "Registry_Password": _registry, "Url_Password": _url,
}  # fmt: skip
