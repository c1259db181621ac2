# SPDX-License-Identifier: Apache-2.0
"""How evidence is stored in S3."""

from __future__ import annotations

from dataclasses import dataclass

from memir.aws.client import Connection
from memir.errors import UsageError

DEFAULT = Connection()


@dataclass(frozen=True, slots=True)
class S3Options:
    """How to reach and use the bucket.

    connection: region, endpoint, profile. lock_mode: GOVERNANCE or COMPLIANCE with lock_days of retention, "" for
    what the bucket does by itself. part_size: 0 chooses by RAM size. rate: bytes a second, 0 is no limit.
    url_seconds: how long a URL lives at most. resume: id of an unfinished upload to go on with. patience: how
    many seconds the node waits for a URL. attempts, backoff: of each part, and the first pause in seconds.
    """

    connection: Connection = DEFAULT
    lock_mode: str = ""
    lock_days: int = 0
    kms_key: str = ""
    part_size: int = 0
    buffers: int = 2
    rate: float = 0.0
    url_seconds: int = 3600
    resume: str = ""
    patience: float = 900.0
    attempts: int = 12
    backoff: float = 0.5


def lock_of(text: str) -> tuple[str, int]:
    """(mode, days) of --object-lock; ("", 0) for "". Raises UsageError."""
    mode, _, days = text.partition(":")
    if text and (mode not in {"GOVERNANCE", "COMPLIANCE"} or not days.isdigit() or not int(days)):
        raise UsageError(f"--object-lock {text!r}: write GOVERNANCE:DAYS or COMPLIANCE:DAYS")
    return mode, int(days or 0)
