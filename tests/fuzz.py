# SPDX-License-Identifier: Apache-2.0
"""How many hostile inputs each parser gets, and how they are made."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence

_WORDS = (b"\0" * 4, b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\1\0\0\0", b"\0" * 8)


def cases(few: int = 300, many: int = 10_000) -> int:
    """`many` where CI is true, else `few`."""
    return many if os.environ.get("CI") == "true" else few


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
