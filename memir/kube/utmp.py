# SPDX-License-Identifier: Apache-2.0
"""Who logged in: wtmp, btmp (failed attempts) and utmp. struct utmp of utmp(5); other C libraries write none."""

from __future__ import annotations

import ipaddress
import re
import struct

from memir.kube.cached_file import CachedFile
from memir.kube.log_line import LogLine, text_of

_NAME = re.compile(r"/[wb]tmp(?:[.-][0-9]+)?$|/utmp$")
_COMMON = "<h2xi32s4s32s256shh"
# x86-64 keeps the 32-bit layout for compatibility (__WORDSIZE_TIME64_COMPAT32), arm64 does not
_LAYOUTS = {
    "x86_64": struct.Struct(_COMMON + "iii16s20x"),
    "arm64": struct.Struct(_COMMON + "qqq16s20x4x"),
}
_TYPES = {
    1: "run level", 2: "boot", 3: "new time", 4: "old time", 5: "init process", 6: "login process", 7: "login",
    8: "logout",
}  # fmt: skip
_LATEST = 1 << 33


def is_utmp(path: str) -> bool:
    """Whether a path is that of a record of logins."""
    return _NAME.search(path[-256:]) is not None


def logins(file: CachedFile, arch: str) -> list[LogLine]:
    """Records in the order of the file: what, who, where from. A torn record and one of no kind are left out."""
    layout = _LAYOUTS[arch]
    lines = []
    for offset in range(0, file.size - layout.size + 1, layout.size):
        raw = file.read(offset, layout.size)
        if raw is None:
            continue
        kind, pid, line, _, user, host, _, _, session, seconds, micros, address = layout.unpack(raw)
        if kind not in _TYPES or not 0 <= micros < 1_000_000 or not 0 < seconds < _LATEST:
            continue
        who, where, origin = (text_of(part.partition(b"\0")[0]) for part in (user, line, host))
        fields = [("user", who), ("line", where), ("host", origin), ("address", _address(address)), ("pid", str(pid)),
                  ("session", str(session) if session else "")]  # fmt: skip
        text = " ".join(part for part in (_TYPES[kind], who, where, origin) if part)
        known = [f"{name}={value}" for name, value in fields if value]
        lines.append(LogLine(seconds * 1_000_000 + micros, text, known))
    return lines


def _address(raw: bytes) -> str:
    if not any(raw):
        return ""
    return str(ipaddress.IPv4Address(raw[:4]) if not any(raw[4:]) else ipaddress.IPv6Address(raw))
