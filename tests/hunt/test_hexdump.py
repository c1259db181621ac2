# SPDX-License-Identifier: Apache-2.0
"""Bytes as text that nothing acts on."""

from __future__ import annotations

import pytest

from memir.hunt.hexdump import hexdump, masked, printable, secret_span


def test_only_printable_ascii_leaves() -> None:
    every = bytes(range(256))
    for text in (printable(every), hexdump(every, every, every)):
        assert all(32 <= ord(one) < 127 or one == "\n" for one in text)
    assert printable(b"a\\x1b[31m\x1b[31m") == "a\\x5cx1b[31m\\x1b[31m"


def test_offsets_count_from_the_match() -> None:
    lines = hexdump(b"b" * 20, b"MATCH", b"a" * 40).splitlines()
    assert lines[0].startswith("-0020  62 62") and lines[1].startswith("-0004  62 62 62 62 4d 41 54 43 48 61")
    assert lines[1].endswith("bbbbMATCHaaaaaaa")
    assert len(lines) == 4


def test_secrets_are_masked_everywhere() -> None:
    secret = b"AKIAIOSFODNN7EXAMPLE"
    shown = masked(secret) + hexdump(b"key=", secret, b"\n", masked=True)
    assert "IOSF" not in shown and secret.hex(" ") not in shown and "AKIA... (20 bytes, sha256 " in shown
    assert masked(b"abc") != masked(b"abd")


@pytest.mark.parametrize(
    ("expression", "span"),
    [
        (None, (0, 14)),
        ("s3cr3t", (9, 15)),
        ("(?<=password=)[a-z0-9]+", (9, 15)),
        ("nothing like it", None),
        ("x*", None),  # an expression that is content with no character finds no secret
        ("(", (0, 14)),  # no expression: the rule means something else by `secret`
    ],
)
def test_where_in_a_match_the_secret_is(expression: str | None, span: tuple[int, int] | None) -> None:
    data = b"password=s3cr3t" if span == (9, 15) else b"password=s3cr3"
    assert secret_span(data, expression) == span
