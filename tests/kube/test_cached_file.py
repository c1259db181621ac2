# SPDX-License-Identifier: Apache-2.0
"""A file with holes gives its bytes where all are there, and never a line that a hole has cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memir.kube.cached_file import CachedFile

PAGE = 4096


def cut(data: bytes, holes: set[int]) -> CachedFile:
    pages = [data[start : start + PAGE] for start in range(0, len(data), PAGE)]
    return CachedFile([None if number in holes else page for number, page in enumerate(pages)])


@given(st.binary(min_size=1, max_size=700), st.sets(st.integers(0, 5)), st.integers(-9, 24000), st.integers(-9, 9000))
def test_what_is_read_is_what_is_there(seed: bytes, holes: set[int], start: int, size: int) -> None:
    data = (b"a\n" + seed) * (5 * PAGE // (len(seed) + 2) + 1)
    file = cut(data, holes)
    # how long a file is whose last page is a hole is not known: no bytes are "there" up to that page's end
    inside = start >= 0 and size >= 0 and start + size <= (len(data) if size else file.size)
    whole = inside and not {place // PAGE for place in range(start, start + size)} & holes
    assert file.has(start, size) == whole
    assert file.read(start, size) == (data[start : start + size] if whole else None)
    assert file.missing == len({number for number in holes if number * PAGE < len(data)})
    for offset, line in file.lines():
        assert data[offset : offset + len(line)] == line
        assert offset == 0 or data[offset - 1 : offset] == b"\n"
        assert data[offset + len(line) : offset + len(line) + 1] in (b"\n", b"")
    assert b"".join(run for _, run in file.runs()) == b"".join(page or b"" for page in file.pages)
    assert file.size == len(data) or len(file.pages) - 1 in holes


def test_a_whole_file_gives_every_line() -> None:
    data = b"".join(b"line %d\n" % number for number in range(2000)) + b"last"
    assert [line for _, line in cut(data, set()).lines()] == data.split(b"\n")
    assert CachedFile([]).size == 0 and CachedFile([]).missing == 0


def test_pages_of_zeros_are_read_as_holes_but_not_counted() -> None:
    file = CachedFile([b"a" * PAGE, bytes(PAGE), None, b"b\n"])
    assert (file.has(PAGE, 1), file.missing, file.missing_until(2 * PAGE)) == (False, 1, 0)
