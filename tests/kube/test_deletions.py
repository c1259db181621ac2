# SPDX-License-Identifier: Apache-2.0
"""Objects that are being deleted, in pieces of memory laid out as the kubelet's are, and what is none."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from memir.kube.deletions import deletions

UID = "312024f9-523b-4759-8d0b-e362735ecf77"
OTHER = "ca048ebb-d497-48d5-992d-9c7d655c71dd"
MADE, GONE, YEAR_1 = 1_795_914_222, 1_795_918_852, 62_135_596_800
HEAP, TEXTS = 0xC000400000, 0xC000800000


class Memory:
    """Two pieces, of words and of texts."""

    def __init__(self) -> None:
        self.words, self.texts = bytearray(), bytearray()

    def text(self, value: str) -> tuple[int, int]:
        at = TEXTS + len(self.texts)
        self.texts += value.encode().ljust((len(value) + 7) // 8 * 8, b"\0")
        return at, len(value)

    def time(self, seconds: int, nanoseconds: int = 0) -> int:
        at = HEAP + len(self.words)
        self.words += struct.pack("<3Q", nanoseconds, seconds + YEAR_1, 0x5A1B20)
        return at

    def meta(self, uid: str, deleted: int, version: str = "1234") -> None:
        """ObjectMeta up to DeletionGracePeriodSeconds."""
        strings = [self.text(value) for value in ("ledger", "", "payments", "", uid, version)]
        for at, length in strings:
            self.words += struct.pack("<2Q", at, length)
        self.words += struct.pack("<4QQQ", 2, 0, MADE + YEAR_1, 0x5A1B20, deleted, HEAP)

    def pieces(self) -> list[tuple[int, bytes]]:
        return [(TEXTS, bytes(self.texts)), (HEAP, bytes(self.words))]


def whole() -> Memory:
    memory = Memory()
    memory.words += bytes(40)
    memory.meta(OTHER, 0)
    moment = memory.time(GONE)
    memory.meta(UID, moment)
    memory.words += struct.pack("<3Q", 36, 36, 36)
    return memory


def test_a_pod_that_is_being_deleted() -> None:
    assert deletions(whole().pieces()) == {UID: GONE * 10**9}


def test_the_shorter_grace_period_is_the_latest_word() -> None:
    memory = whole()
    memory.meta(UID, memory.time(GONE - 1000))
    memory.meta(UID, memory.time(GONE + 1000))
    assert deletions(memory.pieces()) == {UID: (GONE - 1000) * 10**9}


def test_what_is_none() -> None:
    for version, moment in (("", GONE), ("v1", GONE), ("12", 1 << 40), ("12", -1_000_000_000)):
        memory = Memory()
        memory.meta(UID, memory.time(moment), version)
        assert deletions(memory.pieces()) == {}
    memory = Memory()
    memory.meta(UID, memory.time(GONE, nanoseconds=1 << 62))  # a monotonic time: not decoded from anything
    memory.meta("x" * 36, memory.time(GONE))
    memory.meta(OTHER, 0xDEAD0000)
    assert deletions(memory.pieces()) == {}
    assert deletions([]) == {}


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 400), st.binary(max_size=16), st.integers(0, 15))
def test_mutated(at: int, put: bytes, shift: int) -> None:
    """Whatever lies there, wherever pieces begin: a UID and a time, or nothing."""
    texts, (start, words) = whole().pieces()
    words = words[:at] + put + words[at + len(put) :]
    for uid, moment in deletions([texts, (start + shift, words[shift:])]).items():
        assert len(uid) == 36
        assert 0 < moment < (1 << 34) * 10**9
