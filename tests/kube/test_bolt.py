# SPDX-License-Identifier: Apache-2.0
"""bbolt files: made as the library makes them, torn, hostile; and a real node's in its page cache."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from memir.kube import bolt
from memir.kube.bolt import Bucket, TornError, read_bolt
from tests.fuzz import cases

CASES = cases(500)
PAGE = 4096
LEAF, BRANCH = 2, 1
Item = tuple[int, bytes, bytes]


def page(number: int, flags: int, items: Sequence[Item], overflow: int = 0) -> bytes:
    """A leaf or branch page; of a branch item the first field is the page below."""
    head = struct.pack("<QHHI", number, flags, len(items), overflow)
    size = 16 * len(items)
    elements, data = b"", b""
    for at, (first, key, value) in enumerate(items):
        pos = size - 16 * at + len(data)
        if flags == LEAF:
            elements += struct.pack("<IIII", first, pos, len(key), len(value))
        else:
            elements += struct.pack("<IIQ", pos, len(key), first)
        data += key + value
    made = head + elements + data
    return made.ljust((1 + overflow) * PAGE, b"\0") if number else made


def meta(number: int, root: int, txid: int, end: int = 64) -> bytes:
    body = struct.pack("<IIIIQQQQQ", bolt.MAGIC, 2, PAGE, 0, root, 0, 2, end, txid)
    checksum = 0xCBF29CE484222325
    for byte in body:
        checksum = ((checksum ^ byte) * 0x100000001B3) & (2**64 - 1)
    return (struct.pack("<QHHI", number, 4, 0, 0) + body + struct.pack("<Q", checksum)).ljust(PAGE, b"\0")


def bucket(root: int, inline: bytes = b"") -> bytes:
    return struct.pack("<QQ", root, 0) + inline


def database() -> list[bytes | None]:
    """Root on page 3; v1 in a branch over two leaves, one of them long; page 7 belongs to nothing any more."""
    inline = page(0, LEAF, [(0, b"name", b"runc")])
    whole = (
        meta(0, 9, 1), meta(1, 3, 2), bytes(PAGE),
        page(3, LEAF, [(1, b"v1", bucket(4)), (0, b"version", b"3")]),
        page(4, BRANCH, [(5, b"a", b""), (6, b"m", b"")]),
        page(5, LEAF, [(0, b"a", b"first"), (1, b"in", bucket(0, inline))]),
        page(6, LEAF, [(0, b"m", b"x" * 5000)], overflow=1),
        page(7, LEAF, [(0, b"gone", b"removed")]),
    )  # fmt: skip
    data = b"".join(whole[:7]) + whole[7].replace(struct.pack("<Q", 7), struct.pack("<Q", 8), 1)
    return [data[at : at + PAGE] for at in range(0, len(data), PAGE)]


def test_what_the_tree_leads_to() -> None:
    root = read_bolt(database())
    assert root is not None
    assert root.values == {b"version": b"3"}
    top = root.bucket(b"v1")
    assert top is not None
    assert top.values == {b"a": b"first", b"m": b"x" * 5000}
    assert root.bucket(b"v1", b"in") == Bucket({b"name": b"runc"})
    assert root.bucket(b"v1", b"none", b"deeper") is None
    assert root.whole()


def test_the_newer_meta_page_leads() -> None:
    pages = database()
    pages[1] = meta(1, 9, 0)
    pages[0] = meta(0, 3, 1)
    root = read_bolt(pages)
    assert root is not None
    assert b"v1" in root.buckets
    broken = bytearray(meta(1, 3, 99))
    broken[40] ^= 1
    pages[1] = bytes(broken)
    root = read_bolt(pages)
    assert root is not None
    assert root.whole()
    pages[0] = None
    assert read_bolt(pages) is None
    assert read_bolt([]) is None


def test_a_page_that_is_not_in_memory() -> None:
    """What lies beyond it is missing, the rest is there, and it is said."""
    pages = database()
    pages[5] = None
    root = read_bolt(pages)
    assert root is not None
    top = root.bucket(b"v1")
    assert top is not None
    assert (set(top.values), top.holes) == ({b"m"}, ["page 5: page not in memory"])
    assert not root.whole()


def test_pages_that_lead_in_a_circle() -> None:
    pages = database()
    pages[4] = page(4, BRANCH, [(4, b"a", b""), (3, b"b", b""), (99, b"c", b""), (8, b"d", b"")])
    root = read_bolt(pages)
    assert root is not None
    top = root.bucket(b"v1")
    assert top is not None
    assert {hole.partition(": ")[2] for hole in top.holes} >= {"met before", "past the end"}


def test_too_deep_and_too_many() -> None:
    inner = b""
    for _ in range(bolt.MAX_DEPTH + 2):
        inner = bucket(0, page(0, LEAF, [(1, b"x", inner or bucket(0, page(0, LEAF, [])))]))
    pages = database()
    pages[3] = page(3, LEAF, [(1, b"x", inner)], overflow=1)[:PAGE]
    root = read_bolt([*pages[:3], pages[3], *pages[4:]])
    assert root is not None
    assert not root.whole()
    assert str(TornError("x")) == "x"


@settings(max_examples=CASES, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 12))
def test_mutated_files(seed: int, changes: int) -> None:
    chance = random.Random(seed)
    pages = [None if one is None else bytearray(one) for one in database()]
    for _ in range(changes):
        at = chance.randrange(2, len(pages))
        changed = pages[at]
        if changed is None or chance.randrange(10) == 0:
            pages[at] = None
        else:
            place = chance.randrange(0, 80)
            changed[place] = chance.choice([0, 1, 2, 255, chance.randrange(256)])
    root = read_bolt([None if one is None else bytes(one) for one in pages])
    assert root is not None
    for one in (root, *root.buckets.values()):
        assert all(isinstance(key, bytes) and isinstance(value, bytes) for key, value in one.values.items())
