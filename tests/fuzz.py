# SPDX-License-Identifier: Apache-2.0
"""How many hostile inputs each parser gets, and how they are made."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_WORDS = (b"\0" * 4, b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\1\0\0\0", b"\0" * 8)


def cases(few: int = 300, many: int = 1_500) -> int:
    """`many` where CI is true, else `few`; at least as many as MEMIR_FUZZ says, where it says a number."""
    return max(many if os.environ.get("CI") == "true" else few, int(os.environ.get("MEMIR_FUZZ", "0")))


def mutations(seeds: Sequence[bytes], count: int, seed: int = 1) -> Iterator[bytes]:
    """`count` damaged variants of good inputs: bytes and words set, pieces cut out, doubled and moved, ends cut."""
    rng = random.Random(seed)
    for _ in range(count):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            _mutate(data, rng)
        yield bytes(data)


def _mutate(data: bytearray, rng: random.Random) -> None:
    # headers are at the start and tables at the end: half of all damage goes there
    where = rng.random()
    top = len(data)
    at = rng.randrange(min(top, 128) or 1) if where < 0.4 else rng.randrange(top or 1)
    if where > 0.85:
        at = max(0, top - 1 - rng.randrange(64))
    kind = rng.randrange(6)
    if kind == 0 and data:
        data[at] = rng.randrange(256)
    elif kind == 1 and data:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 2:
        word = rng.choice(_WORDS)
        data[at : at + len(word)] = word
    elif kind == 3:
        del data[at:]
    elif kind == 4:
        del data[at : at + rng.randrange(1, 64)]
    else:
        data[at:at] = data[at : at + rng.randrange(1, 64)]


# what JSON can hold in the place of what was meant; the rarest break the most
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 31, 1 << 63, 1 << 70, 10**400, -(1 << 63), 0.5, 1e308, -0.0, "", " ", "x" * 5000,
    "\ud800", "\0", "\x1b[2J", "../../etc/passwd", "/", "s3://b", "s3://b/k", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00", "2026-11-29", "0" * 64, "f" * 63 + "g", "1-0", "\u202e", [], [[]], {}, {"": None},
    {"a": {}}, [None, 1], ["x"] * 50, {"\ud800": "\ud800"},
)  # fmt: skip


def shapes(documents: Sequence[Any], count: int, seed: int = 1) -> Iterator[Any]:
    """`count` JSON documents: values of good ones replaced by odd ones or each other, dropped, doubled, nested."""
    rng = random.Random(seed)
    for _ in range(count):
        document = copy.deepcopy(rng.choice(documents))
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            document = _reshape(document, rng)
        yield document


def _reshape(document: Any, rng: random.Random) -> Any:
    places = list(_places(document))
    parent, key = rng.choice(places) if places else (None, None)
    if parent is None:
        return copy.deepcopy(rng.choice(_ODD))
    kind = rng.randrange(8)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        other, where = rng.choice(places)
        parent[key] = copy.deepcopy(other[where])
    elif kind == 2:
        parent[key] = [parent[key]] * rng.choice((1, 2, 50))
    elif kind == 3:
        for _ in range(rng.choice((1, 90))):  # four of them can still be copied, which takes two frames a level
            parent[key] = {"a": parent[key]} if rng.random() < 0.5 else [parent[key]]
    elif kind == 4 and isinstance(parent, dict):
        parent[rng.choice(("", "extra", "\ud800", "x" * 300))] = copy.deepcopy(rng.choice(_ODD))
    else:
        parent[key] = copy.deepcopy(rng.choice(_ODD))
    return document


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(object or list, key or index) of every value below one."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, below in inner:
        yield value, key
        yield from _places(below)
