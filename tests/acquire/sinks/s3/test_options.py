# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from memir.acquire.sinks.s3.options import S3Options
from memir.aws.client import Connection


def test_what_the_bucket_does_by_itself() -> None:
    options = S3Options()
    assert options.connection == Connection(None, None, None)
    assert (options.lock_mode, options.lock_days, options.kms_key, options.resume) == ("", 0, "", "")
    assert (options.part_size, options.buffers, options.rate) == (0, 2, 0.0)
    assert (options.url_seconds, options.patience, options.attempts, options.backoff) == (3600, 900.0, 12, 0.5)
