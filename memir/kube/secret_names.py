# SPDX-License-Identifier: Apache-2.0
"""What is a secret: names of variables and options, and the shapes of tokens and keys. No YARA: tables need it too.

Kinds that people choose are guessable from a plain hash; see PEOPLE and memir.kube.secrets.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

PEOPLE = frozenset({"password", "database url", "url password", "secret", "mounted secret", "registry password"})
"""Kinds that people choose: their fingerprint is an HMAC, since whoever has a plain hash can try words against it.

`secret` is what only its name calls one (APP_SECRET): it may be random or a word.
"""
MAX_TEXT = 1 << 16
"""Characters of one value that are looked through: arguments and variables are shorter (MAX_ARG_STRLEN is 128 KiB)."""

# Words of a name, divided by _ - . or a change of case; each alone makes the name a secret's.
_WORDS = {
    "password": "password", "passwd": "password", "pass": "password", "passphrase": "password", "pwd": "password",
    "pgpassword": "password", "userpass": "password",
    "secret": "secret", "secrets": "secret", "credential": "secret", "credentials": "secret", "auth": "secret",
    "token": "token", "bearer": "token", "jwt": "token",
    "apikey": "api key", "dsn": "database url",
}  # fmt: skip
_PAIRS = {
    ("api", "key"): "api key", ("access", "key"): "aws secret key", ("secret", "key"): "api key",
    ("private", "key"): "private key", ("signing", "key"): "api key", ("encryption", "key"): "api key",
    ("account", "key"): "api key", ("storage", "key"): "api key", ("master", "key"): "api key",
    ("database", "url"): "database url", ("db", "url"): "database url", ("connection", "string"): "database url",
    ("conn", "str"): "database url", ("webhook", "url"): "api key",
}  # fmt: skip
# A name that ends so tells where a secret is, or about it: DB_PASSWORD_FILE, TOKEN_TTL, AWS_ACCESS_KEY_ID.
_ABOUT = frozenset({
    "file", "path", "dir", "name", "id", "host", "port", "ttl", "type", "length", "size", "enabled", "expiry",
    "expiration", "timeout", "url", "uri", "endpoint", "provider", "method", "mode", "audience", "issuer", "sock",
    "socket", "count", "policy", "header", "mount",
})  # fmt: skip
_NOT = frozenset({"pwd", "oldpwd"})  # the shell's working directory
_PLAIN = frozenset({"", "true", "false", "yes", "no", "none", "null", "0", "1"})

# Bounds and possessive repeats keep the search linear on hostile text. Order: the first kind that matches at a place.
_SHAPES = {
    "private key": (
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,8000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)"
    ),
    "token": r"eyJ[0-9A-Za-z_-]{10,2000}+\.eyJ[0-9A-Za-z_-]{10,8000}+\.[0-9A-Za-z_-]{10,2000}+",
    "github token": r"\b(?:gh[pousr]_[0-9A-Za-z]{36,255}+|github_pat_[0-9A-Za-z_]{60,120}+)",
    "slack token": r"\bxox[abeoprs]-[0-9A-Za-z-]{10,250}+",
    "google api key": r"\bAIza[0-9A-Za-z_-]{35}",
    "stripe key": r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,250}+",
    "bearer token": r"(?<=Bearer )[0-9A-Za-z._~+/=-]{16,4000}+",
    "url password": r"(?<=://)[^\s/:@'\"]{0,200}+:[^\s/@'\"]{1,500}+(?=@)",
}
_SHAPE = re.compile("|".join(f"(?P<k{number}>{shape})" for number, shape in enumerate(_SHAPES.values())))
_KINDS = tuple(_SHAPES)
# NAME=value and --name value (or =value) inside a longer text, such as the argument of sh -c
_INSIDE = re.compile(
    r"(?<![\w-])(?:(?P<name>[A-Za-z_][\w.-]{1,100}+)=|--?(?P<option>[A-Za-z][\w.-]{1,100}+)[= ])"
    r"(?P<value>\"[^\"]{1,4000}+\"|'[^']{1,4000}+'|[^\s\"'&|;-][^\s\"'&|;]{0,4000}+)"
)


@dataclass(frozen=True, slots=True)
class Match:
    """A secret in a text: its kind, the name that calls it one (null if its shape does), and where it lies."""

    kind: str
    name: str | None
    start: int
    end: int


@functools.lru_cache(maxsize=4096)
def kind_of_name(name: str) -> str | None:
    """The kind of secret that a variable or option of this name holds; None: no secret."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name[:200])]
    if not words or name.lower() in _NOT or (words[-1] in _ABOUT and tuple(words[-2:]) not in _PAIRS):
        return None
    for pair in itertools.pairwise(words):
        if pair in _PAIRS:
            return _PAIRS[pair]
    return next((_WORDS[word] for word in words if word in _WORDS), None)


def secrets_in(text: str, name: str | None = None) -> Iterator[Match]:
    """The secrets in a value, in order and not overlapping. name: of its variable or option.

    A value whose name calls it a secret is one as a whole, unless it is a path, a truth value or a number of one digit.
    """
    text = text[:MAX_TEXT]
    kind = kind_of_name(name) if name else None
    if kind is not None and text.lower() not in _PLAIN and not text.startswith("/"):
        shaped = _SHAPE.fullmatch(text)
        yield Match(_KINDS[(shaped.lastindex or 1) - 1] if shaped else kind, name, 0, len(text))
        return
    matches = [Match(_KINDS[(match.lastindex or 1) - 1], name, *_password_of(match)) for match in _SHAPE.finditer(text)]
    for match in _INSIDE.finditer(text):
        inner = match["name"] or match["option"]
        kind = kind_of_name(inner)
        start, end = match.span("value")
        if text[start] in "\"'":
            start, end = start + 1, end - 1
        value = text[start:end]
        if kind is not None and value.lower() not in _PLAIN and not value.startswith(("/", "$")):
            matches.append(Match(kind, inner, start, end))
    last = 0
    for secret in sorted(matches, key=lambda secret: (secret.start, -secret.end)):
        if secret.start >= last:
            yield secret
            last = secret.end


def _password_of(match: re.Match[str]) -> tuple[int, int]:
    """Where the secret is in what matched: of user:password the password."""
    if _KINDS[(match.lastindex or 1) - 1] == "url password":
        return match.start() + match.group().index(":") + 1, match.end()
    return match.span()
