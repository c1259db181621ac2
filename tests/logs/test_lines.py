# SPDX-License-Identifier: Apache-2.0
"""Lines of bytes, whatever they are."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from memir.logs.lines import ahead, chunks, lines_table, whole


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_chunks() -> None:
    every = list(chunks(_cut(b"\xef\xbb\xbfone\ntwo\r\n\nfour", 3), chunk=8))
    assert [(number, text) for lines in every
            for number, text in zip(lines.number.to_pylist(), lines.text.to_pylist(), strict=True)] == [
        (1, "one\n"), (2, "two\r\n"), (3, "\n"), (4, "four"),
    ]  # fmt: skip
    assert list(chunks([])) == []


def test_lines_of_any_bytes() -> None:
    rng = random.Random(1)
    for _ in range(200):
        data = bytes(rng.choice(b"ab\n\n\xff\xc3\xa9\0") for _ in range(rng.randrange(1, 400)))
        every = list(chunks(_cut(data, rng.randrange(1, 50)), chunk=rng.randrange(1, 64)))
        texts = [text for lines in every for text in lines.text.to_pylist()]
        assert (
            len(texts) == len(data.splitlines())
            or b"\r" in data
            or len(texts) == data.count(b"\n") + (not data.endswith(b"\n"))
        )
        assert [number for lines in every for number in lines.number.to_pylist()] == list(range(1, len(texts) + 1))
        valid = b"".join(str(text).encode() for text in texts)
        assert (sum(lines.odd for lines in every) == 0) == (valid == data)


def test_a_line_that_is_too_long() -> None:
    blocks = [b"a\n", *[b"x" * 100] * 50, b"\nafter\n"]
    every = list(chunks(blocks, chunk=64, max_line=1000))
    assert [(number, text) for lines in every
            for number, text in zip(lines.number.to_pylist(), lines.text.to_pylist(), strict=True)] == [
        (1, "a\n"), (3, "after\n"),
    ]  # fmt: skip
    assert sum(lines.too_long for lines in every) == 1
    assert max(len(str(text)) for lines in every for text in lines.text.to_pylist()) < 1000


def test_lines_table() -> None:
    lines = next(chunks([b"x\n" * 5000]))
    table = lines.table()
    assert (table.num_rows, table.column_names) == (5000, ["number", "text"])
    assert len(table.to_batches()) == 3
    assert lines_table(lines.number.slice(0, 0), lines.text.slice(0, 0)).num_rows == 0


def test_whole() -> None:
    assert whole([b"\xef\xbb\xbf{", b"}"]) == b"{}"
    assert whole([b"xx", b"xx"], 3) is None


def test_ahead() -> None:
    assert list(ahead(iter([1, 2, 3]))) == [1, 2, 3]

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("torn")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="torn"):
        next(items)
