# SPDX-License-Identifier: Apache-2.0
"""Decode the kernel's compressed symbol table (kernel/kallsyms.c, scripts/kallsyms.c) from its rodata.

Where the tables lie, by age:

- before 6.4: offsets, relative_base, num_syms, names, markers, [seqs_of_names from 6.2], token_table, token_index
- 6.4 to 6.19: num_syms, names, markers, token_table, token_index, offsets, relative_base, seqs_of_names
- from 7.0: the same without relative_base, aligned to 4 and not 8; offsets are relative to their own place

A name is a length (one byte, or two when its high bit is set, from 6.1) and that many token numbers; the first
character of the expanded text is the symbol's type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memir.errors import KallsymsError

MAX_SYMBOLS = 4_000_000
_BLOCK = 256  # scripts/kallsyms.c writes one marker every 256 names
_DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
_U64 = 2**64 - 1

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Layout:
    """Where the tables lie, as byte offsets into the span of kernel image that was given."""

    count: int
    names: int
    markers: int
    token_table: int
    token_index: int
    offsets: int
    relative_base: int | None


def _u32(span: Bytes, offset: int, count: int) -> NDArray[np.uint32]:
    if offset < 0 or offset + 4 * count > len(span):
        raise KallsymsError(f"kallsyms table of {count} entries at +{offset:#x} leaves the kernel image")
    return np.frombuffer(span, "<u4", count, offset)


def _u64(span: Bytes, offset: int) -> int:
    if offset < 0 or offset + 8 > len(span):
        raise KallsymsError(f"kallsyms table at +{offset:#x} leaves the kernel image")
    return int(np.frombuffer(span, "<u8", 1, offset)[0])


def walk_names(span: Bytes, layout: Layout) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Where each name's tokens start and how many there are: int64[count] twice, and the offset after the last name.

    All blocks of 256 names are walked at once. KallsymsError if a block does not end where the next one starts.
    """
    blocks = -(-layout.count // _BLOCK)
    positions = layout.names + _u32(span, layout.markers, blocks).astype(np.int64)
    starts = np.zeros((blocks, _BLOCK), np.int64)
    lengths = np.zeros((blocks, _BLOCK), np.int64)
    last = layout.count - (blocks - 1) * _BLOCK
    limit = len(span) - 2
    end_of_last = 0
    for step in range(_BLOCK):
        if step == last:
            end_of_last = int(positions[-1])
            positions = positions[:-1]
        if len(positions) == 0:
            break
        if int(positions.max()) > limit or int(positions.min()) < 0:
            raise KallsymsError("a kallsyms name leaves the kernel image")
        first = span[positions].astype(np.int64)
        long = first & 0x80
        length = np.where(long, (first & 0x7F) | (span[positions + 1].astype(np.int64) << 7), first)
        header = 1 + (long >> 7)
        starts[: len(positions), step] = positions + header
        lengths[: len(positions), step] = length
        positions = positions + header + length
    if last == _BLOCK:
        end_of_last = int(positions[-1])
        positions = positions[:-1]
    following = layout.names + _u32(span, layout.markers, blocks).astype(np.int64)[1:]
    if not np.array_equal(positions, following[: len(positions)]):
        raise KallsymsError("kallsyms names and markers do not fit each other")
    if end_of_last > len(span):
        raise KallsymsError("a kallsyms name leaves the kernel image")
    return starts.ravel()[: layout.count], lengths.ravel()[: layout.count], end_of_last


def _tokens(span: Bytes, layout: Layout) -> tuple[Bytes, NDArray[np.int64], NDArray[np.int64]]:
    """The token texts in one array, and start and length of each; entry 256 is a NUL that ends a name."""
    index = _u32(span, layout.token_index, 128).view("<u2").astype(np.int64)
    if not 0 <= layout.token_table < len(span):
        raise KallsymsError(f"kallsyms token table at +{layout.token_table:#x} leaves the kernel image")
    table = span[layout.token_table : layout.token_table + int(index[-1]) + 64]
    ends = np.flatnonzero(table == 0)
    where = np.searchsorted(ends, index)
    if index[0] != 0 or (np.diff(index) <= 0).any() or where[-1] >= len(ends):
        raise KallsymsError(f"kallsyms token table at +{layout.token_table:#x} is damaged")
    lengths = ends[where] - index
    starts = np.append(index, ends[0])
    return table, starts, np.append(lengths, 1)


def _runs(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indexes of all runs one after another: starts[0].. starts[0]+lengths[0]-1, starts[1].. and so on."""
    ends = np.cumsum(lengths)
    runs: NDArray[np.int64] = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(
        starts - (ends - lengths), lengths
    )
    return runs


def expand_names(span: Bytes, layout: Layout) -> bytes:
    """All names, each ended by a NUL, without their type characters."""
    starts, lengths, _ = walk_names(span, layout)
    table, token_starts, token_lengths = _tokens(span, layout)
    stream = np.full(int(lengths.sum()) + layout.count, 256, np.int64)
    ends = np.cumsum(lengths + 1) - 1
    inside = np.ones(len(stream), bool)
    inside[ends] = False
    stream[inside] = span[_runs(starts, lengths)]
    sizes = token_lengths[stream]
    text = table[_runs(token_starts[stream], sizes)]
    keep = np.ones(len(text), bool)
    first = np.concatenate(([0], np.flatnonzero(text == 0)[:-1] + 1))
    keep[first[text[first] != 0]] = False
    return text[keep].tobytes()


def addresses(span: Bytes, layout: Layout, offsets_va: int) -> NDArray[np.uint64]:
    """Virtual address of every symbol, uint64[count], in table order.

    offsets_va: virtual address of the offsets table itself (used from 7.0 on, where there is no base).
    """
    raw = _u32(span, layout.offsets, layout.count)
    if layout.relative_base is None:
        own = np.uint64(offsets_va & _U64) + np.arange(layout.count, dtype=np.uint64) * np.uint64(4)
        return own + raw.view("<i4").astype(np.int64).view(np.uint64)
    base = np.uint64(_u64(span, layout.relative_base))
    signed = raw.view("<i4").astype(np.int64)
    if int((signed < 0).sum()) * 2 > layout.count:
        # x86-64 before 6.15 (KALLSYMS_ABSOLUTE_PERCPU): values from 0 are absolute, negative ones base - 1 - value
        return np.where(signed >= 0, signed.view(np.uint64), base - np.uint64(1) - signed.view(np.uint64))
    return base + raw.astype(np.uint64)


def _token_tables(span: Bytes) -> list[tuple[int, int]]:
    """(token_table, token_index) offsets of everything in the span that has the shape of a token table."""
    tables: list[tuple[int, int]] = []
    for match in re.finditer(re.escape(_DIGITS), span.data):
        if len(tables) >= 16:
            break
        digits = match.start()
        for offset in range((digits + 3) & ~3, min(digits + 4096, len(span) - 512), 4):
            if span[offset] or span[offset + 1]:
                continue
            index = np.frombuffer(span, "<u2", 256, offset).astype(np.int64)
            if (np.diff(index) <= 0).any() or index[ord("1")] - index[ord("0")] != 2:
                continue
            table = digits - int(index[ord("0")])
            if table >= 0 and table + int(index[-1]) < offset:
                tables.append((table, offset))
                break
    return tables


def _marker_candidates(span: Bytes, token_table: int) -> list[int]:
    """Offsets before the token table where a rising run that looks like markers begins, nearest first."""
    low = max(0, token_table - (24 << 20)) & ~3
    words = np.frombuffer(span, "<u4", (token_table - low) // 4, low)
    steps = np.diff(words.astype(np.int64))
    good = (steps > _BLOCK) & (steps < _BLOCK * 96)
    run = words[:-8] == 0
    for ahead in range(8):
        run &= good[ahead : ahead + len(run)]
    return [low + 4 * int(word) for word in np.flatnonzero(run)[::-1][:64]]


def layouts_with_markers(
    span: Bytes,
    count: int,
    names: int,
    token_table: int,
    token_index: int,
    offsets: int,
    relative_base: int | None,
) -> list[Layout]:
    """The layout when all but the markers are known (VMCOREINFO leaves them out); KallsymsError if none fits."""
    for markers in _marker_candidates(span, token_table):
        if markers <= names:
            break
        layout = Layout(count, names, markers, token_table, token_index, offsets, relative_base)
        try:
            walk_names(span, layout)
        except KallsymsError:
            continue
        return [layout]
    raise KallsymsError("the kallsyms names do not fit any markers: the table is damaged or torn")


def find_layouts(span: Bytes) -> list[Layout]:
    """Every place in a span of kernel image where the whole set of tables fits together; checked by walking all names.

    The address tables have two possible places; both are returned for the caller to judge by a known symbol.
    """
    layouts: list[Layout] = []
    for table, index in _token_tables(span):
        for markers in _marker_candidates(span, table):
            layouts.extend(_layouts_at(span, table, index, markers))
            if layouts:
                return layouts
    return layouts


def _layouts_at(span: Bytes, table: int, index: int, markers: int) -> list[Layout]:
    values = _u32(span, markers, (table - markers) // 4).astype(np.int64)
    stop = np.flatnonzero(np.diff(values) <= _BLOCK)
    blocks = int(stop[0]) + 1 if len(stop) else len(values)
    tail = int(values[blocks - 1])
    for count_at in range((markers - tail - 8) & ~3, max(0, markers - tail - _BLOCK * 512), -4):
        count = int(_u32(span, count_at, 1)[0])
        if not (blocks - 1) * _BLOCK < count <= blocks * _BLOCK:
            continue
        for step in (8, 4):
            layout = Layout(count, count_at + step, markers, table, index, 0, None)
            try:
                *_, end = walk_names(span, layout)
            except KallsymsError:
                continue
            if 0 <= markers - end < 8:
                return _with_offsets(span, layout, count_at)
    return []


def _with_offsets(span: Bytes, layout: Layout, count_at: int) -> list[Layout]:
    after = layout.token_index + 512
    size = 4 * layout.count
    at8 = (after + 7) & ~7
    options: list[tuple[int, int | None]] = [
        (count_at - 8 - ((size + 7) & ~7), count_at - 8),
        (at8, (at8 + size + 7) & ~7),
        ((after + 3) & ~3, None),
    ]
    return [
        Layout(layout.count, layout.names, layout.markers, layout.token_table, layout.token_index, offsets, base)
        for offsets, base in options
        if offsets >= 0 and offsets + size + 8 <= len(span)
    ]
