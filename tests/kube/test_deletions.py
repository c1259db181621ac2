# SPDX-License-Identifier: Apache-2.0
"""Deletion timestamps in protobuf as the API server sends it, in pieces of memory with anything around them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from memir.kube.deletions import deletions

UID = "312024f9-523b-4759-8d0b-e362735ecf77"
OTHER = "ca048ebb-d497-48d5-992d-9c7d655c71dd"
MADE, GONE = 1_795_914_222, 1_795_916_200


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(field: int, value: str) -> bytes:
    return bytes([field << 3 | 2, len(value)]) + value.encode()


def time(field: int, seconds: int) -> bytes:
    body = b"\x08" + varint(seconds) + b"\x10\x00"
    return bytes([field << 3 | 2, len(body)]) + body


def meta(uid: str, *, deleted: int = 0, generation: bool = True, grace: int = 1800) -> bytes:
    """ObjectMeta, field by field in the order of their numbers."""
    out = text(1, "ledger") + text(2, "") + text(3, "payments") + text(4, "") + text(5, uid) + text(6, "1234")
    out += b"\x38\x02" if generation else b""
    out += time(8, MADE)
    if deleted:
        out += time(9, deleted) + b"\x50" + varint(grace)
    return out + text(11, "app")


def test_a_pod_that_is_being_deleted() -> None:
    data = b"junk\x2a\x24" + meta(OTHER) + bytes(7) + meta(UID, deleted=GONE) + b"\x4a\x08\x08\x01"
    assert list(deletions(data)) == [(UID, GONE * 10**9)]
    assert list(deletions(meta(UID, deleted=GONE, generation=False))) == [(UID, GONE * 10**9)]


def test_one_that_is_not() -> None:
    assert not list(deletions(meta(UID)))
    assert not list(deletions(meta(UID, deleted=GONE)[:-30]))
    assert not list(deletions(meta(UID, deleted=1 << 40)))  # no time of this or the next century


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 200), st.binary(max_size=8))
def test_mutated(at: int, put: bytes) -> None:
    """Whatever lies there: a UID and a time, or nothing."""
    whole = meta(UID, deleted=GONE)
    for uid, moment in deletions(whole[:at] + put + whole[at + len(put) :]):
        assert len(uid) == 36
        assert 0 < moment < (1 << 33) * 10**9
