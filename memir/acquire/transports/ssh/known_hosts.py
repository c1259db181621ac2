# SPDX-License-Identifier: Apache-2.0
"""known_hosts files as OpenSSH reads them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): wildcards, negation, hashed names,
@revoked; lines that are malformed or of another kind are passed over, not a reason to stop.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_FILE = 64 << 20


@dataclass
class KnownHosts:
    """What files say of one name. keys: (type, base64). authorities: @cert-authority lines, which are not used.

    malformed: lines that nobody can read.
    """

    keys: list[tuple[str, str]] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)
    authorities: int = 0
    malformed: int = 0

    def accepted(self) -> list[tuple[str, str]]:
        """The keys that may be the host's: a revoked one never is, whatever another line says."""
        return [(kind, key) for kind, key in self.keys if key not in self.revoked]

    def kinds(self) -> list[str]:
        """The algorithms to ask the server for first; an RSA key signs with SHA-2."""
        order = {
            name: None
            for kind, _ in self.accepted()
            for name in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))
        }
        return list(order)


def read_known_hosts(text: str, name: str, known: KnownHosts | None = None) -> KnownHosts:
    """What a file says of a name: `host`, or `[host]:port` where the port is not 22. Never raises."""
    known = known if known is not None else KnownHosts()
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if len(words) < 3 or not _is_key(words[2]):
            known.malformed += 1
        elif not matches(words[0].split(","), name):
            continue
        elif marker == "@revoked":
            known.revoked.add(words[2])
        elif marker == "@cert-authority":
            known.authorities += 1
        elif marker:
            known.malformed += 1
        else:
            known.keys.append((words[1], words[2]))
    return known


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether a line is about a name: one pattern fits and none that begins with ! does."""
    fits = False
    for pattern in patterns:
        if pattern.startswith("|1|"):
            fits = fits or _hashed(pattern, name)
        elif pattern.startswith("!"):
            if _wild(pattern[1:], name):
                return False
        else:
            fits = fits or _wild(pattern, name)
    return fits


def _wild(pattern: str, name: str) -> bool:
    # only * and ? are wild; the brackets of [host]:port are not
    plain = pattern.lower().replace("[", "[[]")
    return fnmatch.fnmatchcase(name.lower(), plain)


def _hashed(pattern: str, name: str) -> bool:
    salt, _, digest = pattern[3:].partition("|")
    try:
        made = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(made, base64.b64decode(digest))
    except (binascii.Error, ValueError):
        return False


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) > 16
    except (binascii.Error, ValueError):
        return False
