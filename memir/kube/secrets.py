# SPDX-License-Identifier: Apache-2.0
"""Secrets masked, counted by fingerprint, and kept apart: tables hold the mask, `values` the clear text."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memir.kube.secret_names import PEOPLE, secrets_in

KEY_SIZE = 32
_SHOWN = 16  # hex digits of a fingerprint in a mask: 64 bits tell a node's secrets apart


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that was met: its kind, the variable or option that holds it, its fingerprint and its clear value."""

    kind: str
    name: str | None
    fingerprint: str
    value: str


class Secrets:
    """Masks secrets in texts and remembers their clear values by fingerprint.

    key: of the HMAC for kinds that people choose; a case keeps one in secrets.key. Without one a random key is made:
    the fingerprints then compare within this object only.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key if key is not None else os.urandom(KEY_SIZE)
        self.values: dict[str, str] = {}
        self._known: dict[tuple[str, str | None], tuple[str, tuple[Secret, ...]]] = {}

    def fingerprint(self, kind: str, value: str) -> str:
        """`sha256:HEX` of tokens and keys, `hmac:HEX` (HMAC-SHA256 with the key) of what people choose."""
        raw = value.encode("utf-8", "surrogatepass")
        if kind in PEOPLE:
            return "hmac:" + hmac.new(self._key, raw, hashlib.sha256).hexdigest()
        return "sha256:" + hashlib.sha256(raw).hexdigest()

    def text(self, text: str, name: str | None = None) -> tuple[str, tuple[Secret, ...]]:
        """(the text with its secrets masked, those secrets). name: of the variable or option whose value it is."""
        known = self._known.get((text, name))
        if known is None:
            known = self._known[(text, name)] = self._mask(text, name)
        return known

    def environ(self, variables: Sequence[str] | None) -> tuple[list[str] | None, tuple[Secret, ...]]:
        """`NAME=value` strings masked, and their secrets; None stays None."""
        if variables is None:
            return None, ()
        masked: list[str] = []
        known: list[Secret] = []
        for variable in variables:
            name, equals, value = variable.partition("=")
            text, secrets = self.text(value, name) if equals else self.text(variable)
            masked.append(name + equals + text if equals else text)
            known += secrets
        return masked, tuple(known)

    def args(self, args: Sequence[str] | None) -> tuple[list[str] | None, tuple[Secret, ...]]:
        """A command line masked, and its secrets; of `--password x` the x is one. None stays None."""
        if args is None:
            return None, ()
        masked: list[str] = []
        known: list[Secret] = []
        option = None
        for arg in args:
            name, equals, value = arg.partition("=")
            plain = name.lstrip("-")
            if equals and plain.replace("-", "").replace("_", "").replace(".", "").isalnum():
                text, secrets = self.text(value, plain)
                text = name + equals + text
            else:
                text, secrets = self.text(arg, None if arg.startswith("-") else option)
            masked.append(text)
            known += secrets
            option = plain if arg.startswith("--") and not equals else None
        return masked, tuple(known)

    def add(self, kind: str, name: str | None, value: str) -> Secret:
        """Take note of a secret that was found otherwise, such as a hit of a rule tagged `secret`."""
        secret = Secret(kind, name, self.fingerprint(kind, value), value)
        self.values[secret.fingerprint] = value
        return secret

    def _mask(self, text: str, name: str | None) -> tuple[str, tuple[Secret, ...]]:
        parts, known, last = [], [], 0
        for match in secrets_in(text, name):
            secret = self.add(match.kind, match.name, text[match.start : match.end])
            parts += [text[last : match.start], mask(secret)]
            known.append(secret)
            last = match.end
        return ("".join([*parts, text[last:]]), tuple(known)) if known else (text, ())


def mask(secret: Secret) -> str:
    """How a secret is shown: `*** (KIND, hmac 0123456789abcdef)`. Nothing of its text, and not its length."""
    how, digits = secret.fingerprint.split(":")
    return f"*** ({secret.kind}, {how} {digits[:_SHOWN]})"


def merged(secrets: Iterable[Secret]) -> list[Secret]:
    """Each secret once, by fingerprint and name."""
    return list({(secret.fingerprint, secret.name): secret for secret in secrets}.values())
