# SPDX-License-Identifier: Apache-2.0
"""Typed members of JSON that nobody vouches for: another type is nothing, and is said."""

from __future__ import annotations

from typing import Any

from memir.kube.fields import Fields

VALUE: dict[str, Any] = {
    "text": "x", "empty": "", "number": 7, "true": True, "list": ["a", "b"], "mixed": ["a", 1], "object": {"a": "b"},
    "odd": {"a": "b", "c": 1}, "null": None,
}  # fmt: skip


def test_values_of_their_type() -> None:
    read = Fields()
    assert (read.string(VALUE, "text"), read.string(VALUE, "empty"), read.boolean(VALUE, "true")) == ("x", None, True)
    assert (read.number(VALUE, "number", 8), read.list(VALUE, "list")) == (7, ["a", "b"])
    assert (read.strings(VALUE, "list"), read.object(VALUE, "object")) == (("a", "b"), {"a": "b"})
    assert read.strings_by_key(VALUE, "object") == {"a": "b"}
    for key in ("null", "absent"):
        assert (read.string(VALUE, key), read.number(VALUE, key, 9), read.list(VALUE, key)) == (None, None, None)
        assert (read.object(VALUE, key), read.boolean(VALUE, key), read.strings(VALUE, key)) == ({}, None, None)
    assert read.doubts == []


def test_other_types_are_doubts() -> None:
    doubts: list[str] = []
    read = Fields(doubts)
    assert read.string(VALUE, "number") is None
    assert read.number(VALUE, "number", 7) is None
    assert read.number(VALUE, "true", 7) is None
    assert read.list(VALUE, "text") is None
    assert read.strings(VALUE, "mixed") is None
    assert read.object(VALUE, "list") == {}
    assert read.boolean(VALUE, "number") is None
    assert read.strings_by_key(VALUE, "odd") == {"a": "b"}
    assert doubts == [
        "number is not a string", "number is not a number from 0 to 6", "true is not a number from 0 to 6",
        "text is not a list", "mixed is not a list of strings", "list is not an object", "number is not a boolean",
        "odd is not an object of strings",
    ]  # fmt: skip
