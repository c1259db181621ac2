# SPDX-License-Identifier: Apache-2.0
"""Names below an output folder for names out of an image, whatever those are."""

from __future__ import annotations

import hashlib

_LONGEST = 200  # bytes of a component; file systems take 255
_SPECIAL = '/\\%:*?"<>|'
_DEEPEST = 64  # directories in each other
_PATH = 2000  # bytes of a path: the examiner's folder has to fit into PATH_MAX (4096) too


def _escaped(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def component(name: str) -> str:
    """A file name that any system takes: no separator, no control character, not `.` or `..`, not too long.

    What is not plain is written %XX, as in a URL, so that two names stay two.
    """
    plain = "".join(char if char.isprintable() and char not in _SPECIAL else _escaped(char) for char in name)
    if plain in (".", ".."):
        plain = plain.replace(".", "%2E")
    if len(plain.encode()) > _LONGEST:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        plain = plain.encode()[: _LONGEST - 20].decode("utf-8", "ignore") + "~" + digest
    return plain or "%00"


def relative(path: str) -> str:
    """A path that stays below the folder it is put in: `../../x` becomes `%2E%2E/%2E%2E/x`, `/etc/x` `etc/x`."""
    parts = [component(part) for part in path.split("/") if part]
    if len(parts) > _DEEPEST:
        parts = [*parts[: _DEEPEST - 1], component("/".join(parts[_DEEPEST - 1 :]))]
    while len(parts) > 1 and len("/".join(parts).encode()) > _PATH:
        parts = [*parts[:-2], component("/".join(parts[-2:]))]
    return "/".join(parts) or "%00"
