# SPDX-License-Identifier: Apache-2.0
"""bbolt's files read from a disk: trees of pages, files that are none, and one that is written to meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from memir.collect.node.bolt import Bolt, BoltError, Place
from memir.kube.bolt import Bucket, read_bolt
from tests.kube.test_bolt import LEAF, PAGE, bucket, database, meta, page
from tests.lab.containerd_db import meta_db


@contextmanager
def opened(path: Path, data: bytes) -> Iterator[Bolt]:
    path.write_bytes(data)
    bolt = Bolt(str(path))
    try:
        yield bolt
    finally:
        bolt.close()


def whole(bolt: Bolt, place: Place) -> Bucket:
    return Bucket(bolt.values(place), {key: whole(bolt, below) for key, below in bolt.buckets(place)})


@pytest.mark.parametrize("data", [b"".join(part or b"" for part in database()), meta_db()])
def test_the_same_as_the_reader_of_images(tmp_path: Path, data: bytes) -> None:
    with opened(tmp_path / "db", data) as bolt:
        pages = [data[start : start + PAGE] for start in range(0, len(data), PAGE)]
        place = bolt.bucket()
        assert place is not None
        assert whole(bolt, place) == read_bolt(pages)
        assert bolt.unchanged()


def test_one_key_through_a_branch(tmp_path: Path) -> None:
    with opened(tmp_path / "db", b"".join(part or b"" for part in database())) as bolt:
        inline = bolt.bucket(b"v1", b"in")
        assert inline is not None
        assert bolt.values(inline) == {b"name": b"runc"}
        v1 = bolt.bucket(b"v1")
        assert v1 is not None
        assert [len(value) for _, value, _ in bolt.items(v1, b"m")] == [5000]
        assert (bolt.bucket(b"v1", b"no"), bolt.below(v1, b"zz"), bolt.below(v1, b"A")) == (None, None, None)


def test_written_to_meanwhile(tmp_path: Path) -> None:
    data = bytearray(b"".join(part or b"" for part in database()))
    path = tmp_path / "db"
    with opened(path, bytes(data)) as bolt:
        for transaction, same in ((3, True), (4, False)):
            with path.open("r+b") as file:
                file.seek((transaction + 1) % 2 * PAGE)
                file.write(meta((transaction + 1) % 2, 3, transaction))
            assert bolt.unchanged() is same


@pytest.mark.parametrize("size", [0, 100, 9000])
def test_files_that_are_none(tmp_path: Path, size: int) -> None:
    (tmp_path / "db").write_bytes(b"\xed" * size)
    with pytest.raises(BoltError, match="no meta page"):
        Bolt(str(tmp_path / "db"))
    (tmp_path / "link").symlink_to("db")
    with pytest.raises(OSError, match="symbolic link"):
        Bolt(str(tmp_path / "link"))


def test_pages_that_loop_or_are_torn(tmp_path: Path) -> None:
    head = meta(0, 3, 1) + meta(1, 3, 2) + bytes(PAGE)
    loop = page(3, 1, [(3, b"a", b"")])
    for data, words in (
        (head + loop, "a loop"), (head, "not in the file"), (head + page(9, LEAF, []), "none of the tree"),
        (head + page(3, LEAF, [(1, b"k", b"short")]), "a bucket without a header"),
        (head + page(3, LEAF, [(1, b"k", bucket(0, b"x"))]), "a page that is cut"),
    ):  # fmt: skip
        with opened(tmp_path / "db", data) as bolt, pytest.raises(BoltError, match=words):
            whole(bolt, (3, b""))


def test_torn_anywhere_it_ends(tmp_path: Path) -> None:
    whole_file = b"".join(part or b"" for part in database())
    rng = random.Random(7)
    for _ in range(200):
        data = bytearray(whole_file)
        for _ in range(8):
            data[rng.randrange(2 * PAGE, len(data))] = rng.randrange(256)
        try:
            with opened(tmp_path / "db", bytes(data)) as bolt:
                assert isinstance(whole(bolt, bolt.bucket() or (0, b"")), Bucket)
        except BoltError:
            continue
