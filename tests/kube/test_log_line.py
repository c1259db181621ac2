# SPDX-License-Identifier: Apache-2.0
"""Texts of logs are bounded, and bytes that are no text are shown as such."""

from __future__ import annotations

from memir.kube.log_line import MAX_TEXT, LogLine, microseconds, text_of


def test_texts() -> None:
    assert text_of("grün \u20ac".encode()) == "grün \u20ac"
    assert text_of(b"a\xff\xfe") == "a\\xff\\xfe"
    assert text_of(b"x" * MAX_TEXT) == "x" * MAX_TEXT
    assert text_of(b"x" * (1 << 24)) == "x" * MAX_TEXT + " ..."
    assert LogLine(1, None).fields == []


def test_microseconds() -> None:
    """Of any zone and precision; a time of no zone is none."""
    assert microseconds("1970-01-01T00:00:01.5Z") == microseconds("1970-01-01T02:00:01.500000999+02:00") == 1_500_000
    assert microseconds("1970-01-01T00:00:01") is microseconds("yesterday") is None
