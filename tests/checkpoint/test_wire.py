# SPDX-License-Identifier: Apache-2.0
"""Protobuf's wire format: values of every kind, and messages that are none."""

from __future__ import annotations

import pytest

from memir.checkpoint.wire import Field, decode, varint
from memir.errors import ImageFormatError
from tests.checkpoint.sample import message

INNER = {1: Field("x")}
FIELDS = {
    1: Field("plain"), 2: Field("text", "text"), 3: Field("raw", "bytes"), 4: Field("many", many=True),
    5: Field("signed", "sint"), 6: Field("negative", "int"), 7: Field("flag", "bool"), 8: Field("inner", INNER),
    9: Field("inners", INNER, many=True),
}  # fmt: skip


def test_every_kind_of_value() -> None:
    data = message(
        (1, 300), (2, "né".encode()), (3, b"\0\xff"), (4, 1), (4, b"\x02\xac\x02"), (5, 3), (6, (1 << 64) - 2), (7, 1),
        (8, message((1, 7))), (9, message((1, 8))), (9, message((1, 9))), (40, 5), (41, b"skipped"),
    )  # fmt: skip
    data += b"\x55\1\2\3\4" + b"\x59" + bytes(8)  # fields 10 (fixed32) and 11 (fixed64), not declared
    assert decode(data, FIELDS) == {
        "plain": 300, "text": "né", "raw": b"\0\xff", "many": [1, 2, 300], "signed": -2, "negative": -2, "flag": True,
        "inner": {"x": 7}, "inners": [{"x": 8}, {"x": 9}],
    }  # fmt: skip


def test_the_last_of_a_single_field_counts() -> None:
    assert decode(message((1, 1), (1, 2)), FIELDS) == {"plain": 2}
    assert decode(b"", FIELDS) == {}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x08" + b"\xff" * 12, "does not end"),
        (b"\x08\xff", "does not end"),
        (b"\x12\x7fab", "field 2 at offset 0x0 is longer than its message"),
        (b"\x0b", "wire type 3 at offset 0x0"),
        (message((1, b"ab")), "m.plain: bytes where a number belongs"),
        (message((2, 5)), "m.text: a number where bytes belong"),
        (message((8, b"\x08")), "m.inner: a number at offset 0x1 does not end"),
    ],
)
def test_what_is_no_message(data: bytes, why: str) -> None:
    with pytest.raises(ImageFormatError, match=why):
        decode(data, FIELDS, "m")


def test_a_number_of_64_bits() -> None:
    assert varint(b"\xff" * 9 + b"\x01", 0, "n") == ((1 << 64) - 1, 10)
    assert varint(b"\0\x96\x01", 1, "n") == (150, 3)
