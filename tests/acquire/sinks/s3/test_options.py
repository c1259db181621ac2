# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from memir.acquire.sinks.s3.options import S3Options, lock_of
from memir.aws.client import Connection
from memir.errors import UsageError


def test_what_the_bucket_does_by_itself() -> None:
    options = S3Options()
    assert options.connection == Connection(None, None, None)
    assert (options.lock_mode, options.lock_days, options.kms_key, options.resume) == ("", 0, "", "")
    assert (options.part_size, options.buffers, options.rate) == (0, 2, 0.0)
    assert (options.url_seconds, options.patience, options.attempts, options.backoff) == (3600, 900.0, 12, 0.5)


def test_lock_of() -> None:
    assert [lock_of(""), lock_of("GOVERNANCE:30"), lock_of("COMPLIANCE:1")] == [
        ("", 0), ("GOVERNANCE", 30), ("COMPLIANCE", 1),
    ]  # fmt: skip
    for wrong in ("GOVERNANCE", "GOVERNANCE:0", "COMPLIANCE:x", "NONE:3"):
        with pytest.raises(UsageError, match="write GOVERNANCE:DAYS or COMPLIANCE:DAYS"):
            lock_of(wrong)
