# SPDX-License-Identifier: Apache-2.0
"""One value as a person reads it: capabilities, states and flags by name, times with their fraction, in UTC."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

CAPABILITIES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip
"""Bit n's name, as capability.h has it (include/uapi/linux/capability.h; the last one is Linux 5.9's)."""
_ALL_SINCE = 37
"""A set of every bit from 0 up to at least this one is a whole set: of a kernel of 3.16 (audit_read) or later."""
_SECCOMP = {0: "disabled", 1: "strict", 2: "filter"}
_STATES = {
    "R": "running", "S": "sleeping", "D": "uninterruptible", "T": "stopped", "t": "traced", "Z": "zombie",
    "X": "dead", "I": "idle", "P": "parked",
}  # fmt: skip


def capabilities(bits: int) -> str:
    """A set of capabilities by name: `none`, `all`, `all but net_raw` or `chown kill`; unnamed bits as numbers."""
    count = bits.bit_length()
    if bits == 0:
        return "none"
    names = [CAPABILITIES[bit] if bit < len(CAPABILITIES) else f"capability {bit}" for bit in range(min(count, 64))]
    absent = [name for bit, name in enumerate(names) if not bits >> bit & 1]
    if count > _ALL_SINCE and len(absent) <= 8:
        return f"all but {' '.join(absent)}" if absent else "all"
    return " ".join(name for bit, name in enumerate(names) if bits >> bit & 1)


def _state(value: Any) -> str:
    word = _STATES.get(value)
    return f"{value} {word}" if word else str(value)


def _seccomp(value: Any) -> str:
    return _SECCOMP.get(value, str(value)) if isinstance(value, int) else str(value)


def _capabilities(value: Any) -> str:
    return capabilities(value) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else str(value)


def _address(value: Any) -> str:
    return f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) else cell("", value)


_BY_COLUMN: dict[str, Callable[[Any], str]] = {
    "state": _state, "seccomp": _seccomp,
    "cap_effective": _capabilities, "cap_permitted": _capabilities, "cap_inheritable": _capabilities,
    "cap_bounding": _capabilities, "cap_ambient": _capabilities,
    "task": _address, "vaddr": _address, "paddr": _address, "start": _address, "end": _address,
}  # fmt: skip


def cell(column: str, value: Any) -> str:
    """A value of a column in words; null is empty. Not yet safe for a terminal."""
    if value is None:
        return ""
    by_column = _BY_COLUMN.get(column)
    if by_column is not None:
        return by_column(value)
    if isinstance(value, str):
        return value
    if isinstance(value, datetime.datetime):
        return moment(value)
    if isinstance(value, list | tuple):
        words = [cell("", part) for part in value]
        return (", " if any(" " in word for word in words) else " ").join(words)
    if isinstance(value, dict):
        return ": ".join(cell("", part) for part in value.values())
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def moment(value: datetime.datetime) -> str:
    """A time in UTC, to the microsecond if it has any fraction: `2026-11-28 21:34:55.120034`."""
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value.isoformat(sep=" ")


def time_words(clock: str) -> str:
    """A record's time (ISO 8601, to the nanosecond) as people read it: `2026-11-28 21:34:55.120034 UTC`."""
    return f"{moment(datetime.datetime.fromisoformat(clock))} UTC"


def duration(seconds: float) -> str:
    """How long something has lasted: `12 s`, `3 min 5 s`, `4 h 12 min`, `2 d 3 h`; negative ones say so."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    whole = int(seconds)
    for size, name, smaller, smaller_name in (
        (86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"),
    ):  # fmt: skip
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"
