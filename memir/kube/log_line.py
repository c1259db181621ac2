# SPDX-License-Identifier: Apache-2.0
"""A line of a log, whatever wrote it: what the readers of log files give to the table `log`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

MAX_TEXT = 1 << 15
"""Characters of a text that are kept: a journal may hold whole core dumps."""
_CUT = " ..."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class LogLine:
    """time: microseconds since 1970. monotonic: ns since that boot. cgroup: of who wrote it, where the line says."""

    time: int | None
    text: str | None
    fields: list[str] = field(default_factory=list)
    sequence: int | None = None
    level: int | None = None
    facility: int | None = None
    monotonic: int | None = None
    boot_id: str | None = None
    cgroup: str | None = None


def text_of(raw: bytes) -> str:
    """Bytes of a log as text: other bytes than UTF-8 as backslash escapes, cut at MAX_TEXT."""
    text = raw[: 4 * MAX_TEXT].decode("utf-8", "backslashreplace")
    return text if len(text) <= MAX_TEXT and len(raw) <= 4 * MAX_TEXT else text[:MAX_TEXT] + _CUT


def microseconds(text: str) -> int | None:
    """A time of RFC 3339 as microseconds since 1970; None for what is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) if moment.tzinfo is not None else None
