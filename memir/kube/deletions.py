# SPDX-License-Identifier: Apache-2.0
"""Pods that are being deleted, by what the API server sent the kubelet: protobuf in the kubelet's heap.

metav1.ObjectMeta (apimachinery pkg/apis/meta/v1/generated.proto) has uid as field 5, resourceVersion 6, generation 7,
creationTimestamp 8, deletionTimestamp 9, each Time as seconds and nanoseconds, written in this order. An
owner's uid is followed by none of the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_VARINT = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_META = re.compile(
    rb"\x2a\x24([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"  # uid
    rb"\x32[\x01-\x14][0-9]{1,20}"  # resourceVersion
    rb"(?:\x38" + _VARINT + rb")?"  # generation
    rb"\x42[\x02-\x14]\x08" + _VARINT + rb"(?:\x10" + _VARINT + rb")?"  # creationTimestamp
    rb"\x4a[\x02-\x14]\x08(" + _VARINT + rb")",  # deletionTimestamp
    re.DOTALL,
)
_LATEST = 1 << 33
"""Seconds since 1970: the year 2242."""


def deletions(data: bytes) -> Iterator[tuple[str, int]]:
    """(UID, deletionTimestamp in ns since 1970 UTC) of every object that is being deleted in a piece of memory.

    The timestamp is when its grace period ends, as the API has it.
    """
    for match in _META.finditer(data):
        seconds = 0
        for shift, byte in enumerate(match.group(2)):
            seconds |= (byte & 0x7F) << (7 * shift)
        if 0 < seconds < _LATEST:
            yield match.group(1).decode(), seconds * 1_000_000_000
