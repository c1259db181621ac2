# SPDX-License-Identifier: Apache-2.0
"""Texts of logs are bounded, and bytes that are no text are shown as such."""

from __future__ import annotations

from memir.kube.log_line import MAX_TEXT, LogLine, text_of


def test_texts() -> None:
    assert text_of("grün \u20ac".encode()) == "grün \u20ac"
    assert text_of(b"a\xff\xfe") == "a\\xff\\xfe"
    assert text_of(b"x" * MAX_TEXT) == "x" * MAX_TEXT
    assert text_of(b"x" * (1 << 24)) == "x" * MAX_TEXT + " ..."
    assert LogLine(1, None).fields == []
