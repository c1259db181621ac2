# SPDX-License-Identifier: Apache-2.0
"""Pods that are being deleted, by the kubelet's own objects: metav1.ObjectMeta in the heap of a Go program.

apimachinery pkg/apis/meta/v1/types.go, on 64 bits: Name, GenerateName, Namespace, SelfLink, UID, ResourceVersion (each
pointer and length), Generation, CreationTimestamp (time.Time: wall, ext, loc), *DeletionTimestamp. A time that was
decoded has only nanoseconds in wall and seconds since year 1 in ext (time/time.go). The bytes that the API server sent
are gone by then: neither its JSON nor its protobuf was left in a real node's memory two minutes later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_UID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LENGTH = 36
# words behind the pointer of UID: its length, ResourceVersion (2), Generation, CreationTimestamp (3), DeletionTimestamp
_VERSION, _CREATED, _DELETED = 2, 6, 8
_YEAR_1 = 62_135_596_800
_EARLIEST, _LATEST = _YEAR_1 + 1_400_000_000, _YEAR_1 + (1 << 33)
"""From 2014, when Kubernetes began, to 2242."""


class _Heap:
    """Pieces of a process's memory by address."""

    def __init__(self, pieces: Sequence[tuple[int, bytes]]) -> None:
        self._pieces = sorted(pieces)
        self._starts = np.array([start for start, _ in self._pieces], np.uint64)

    def read(self, address: int, size: int) -> bytes:
        """The bytes there; fewer, or none, where there are no more."""
        row = int(np.searchsorted(self._starts, np.uint64(address), "right")) - 1
        if row < 0:
            return b""
        start, data = self._pieces[row]
        return data[address - start : address - start + size]

    def time(self, address: int) -> int | None:
        """Seconds since year 1 of a time.Time that was decoded; None if there is none."""
        words = np.frombuffer(self.read(address, 16), "<u8")
        if len(words) != 2 or int(words[0]) >= 1_000_000_000 or not _EARLIEST <= int(words[1]) < _LATEST:
            return None
        return int(words[1])


def deletions(pieces: Sequence[tuple[int, bytes]]) -> dict[str, int]:
    """deletionTimestamp, in ns since 1970 UTC, of each object that is being deleted, by UID.

    pieces: (address, bytes) of the kubelet's memory. The timestamp is when the grace period ends, as the API has it.
    """
    heap = _Heap(pieces)
    deleted: dict[str, int] = {}
    for start, data in pieces:
        skip = -start % 8
        words = np.frombuffer(data[skip : skip + (len(data) - skip) // 8 * 8], "<u8")
        place = np.flatnonzero(words[1:] == _LENGTH)
        place = place[place + _DELETED < len(words)]
        created, gone = words[place + _CREATED], words[place + _DELETED]
        length = words[place + _VERSION + 1]
        likely = (created >= _EARLIEST) & (created < _LATEST) & (gone != 0) & (length > 0) & (length <= 20)
        for row in place[likely].tolist():
            uid = heap.read(int(words[row]), _LENGTH)
            version = heap.read(int(words[row + _VERSION]), int(words[row + _VERSION + 1]))
            moment = heap.time(int(words[row + _DELETED]))
            if not _UID.fullmatch(uid) or not version.isdigit() or moment is None:
                continue
            # a grace period can be made shorter, never longer: the earliest is the latest word
            known = deleted.get(uid.decode(), 1 << 63)
            deleted[uid.decode()] = min(known, (moment - _YEAR_1) * 1_000_000_000)
    return deleted
