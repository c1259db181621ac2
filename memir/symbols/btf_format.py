# SPDX-License-Identifier: Apache-2.0
"""The BTF file format: header, sections, and where each type starts.

One pass over the type section notes where each type begins; the rest is looked up when it is asked for.

Format: https://docs.kernel.org/bpf/btf.html and include/uapi/linux/btf.h. From Linux 7.1 a kind has 7 bits,
vlen has 24 and the header may have a layout section; the bits that they gained were zero before.
"""

from __future__ import annotations

import functools
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from construct import Const, ConstructError, If, Int8ul, Int16ul, Int32ul, Struct, this

from memir.errors import BtfError

# struct btf_header, include/uapi/linux/btf.h
HEADER = Struct(
    "magic" / Const(0xEB9F, Int16ul),
    "version" / Const(1, Int8ul),
    "flags" / Const(0, Int8ul),
    "hdr_len" / Int32ul,
    "type_off" / Int32ul,
    "type_len" / Int32ul,
    "str_off" / Int32ul,
    "str_len" / Int32ul,
    "layout_off" / If(this.hdr_len >= 32, Int32ul),
    "layout_len" / If(this.hdr_len >= 32, Int32ul),
)
INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO = range(1, 14)
VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(14, 20)
MODIFIERS = frozenset({TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG})

# 32-bit words after the three that every type has, and for each of its vlen items.
_FIXED = {INT: 1, ARRAY: 3, VAR: 1, DECL_TAG: 1}
_PER_ITEM = {STRUCT: 3, UNION: 3, ENUM: 2, FUNC_PROTO: 2, DATASEC: 3, ENUM64: 3}

_MAX_SECTION = 1 << 26  # ten times the largest kernel's
_MAX_NAME = 1024  # KSYM_NAME_LEN is 512
_MAX_NAMES = 1 << 26  # bytes of all names together: hostile names may overlap


def find_btf_header_ok(data: bytes | memoryview) -> tuple[int, int] | None:
    """(header length, total length) in bytes if a plausible BTF header starts at data[0], else None.

    Looks at the first 32 bytes only; the total counts from data[0] to the end of the last section.
    """
    try:
        head = HEADER.parse(bytes(data[:32]))
    except ConstructError:
        return None
    ends = [
        head.type_off + head.type_len,
        head.str_off + head.str_len,
        (head.layout_off or 0) + (head.layout_len or 0),
    ]
    plausible = (
        24 <= head.hdr_len <= 64
        and not (head.hdr_len | head.type_off | head.type_len) % 4
        and 0 < head.type_len <= _MAX_SECTION
        and 0 < head.str_len <= _MAX_SECTION
        and head.str_off >= ends[0]
        and max(ends) <= 3 * _MAX_SECTION
    )
    return (head.hdr_len, head.hdr_len + max(ends)) if plausible else None


@dataclass(frozen=True, slots=True)
class RawType:
    """One type as the format has it.

    number: its type id. name: "" if it has none. size_or_type: its size in bytes, or the id of the type it
    refers to. words: the 32-bit words after that, as the kind wants them.
    """

    number: int
    name: str
    kind: int
    kind_flag: bool
    size_or_type: int
    words: list[int]


class Blob:
    """A BTF blob and, if it is a module's (split BTF), the kernel's that its ids and string offsets continue.

    first, end: the ids of its own types are first..end-1. Nothing changes after it is made but a cache.
    """

    def __init__(self, data: bytes | memoryview | npt.NDArray[np.uint8], base: Blob | None = None) -> None:
        """data: starts with the header; what follows the last section is ignored and nothing of it is kept.

        BtfError, with the offset in bytes, if the header or the order of the types is malformed.
        """
        sizes = find_btf_header_ok(bytes(data[:32]))
        if sizes is None:
            raise BtfError(f"no BTF header at offset 0: {bytes(data[:24]).hex(' ') or 'no data'}")
        hdr_len, total = sizes
        if len(data) < total:
            raise BtfError(f"BTF is cut off: its header promises {total} bytes, {len(data)} are there")
        blob = bytes(data[:total])
        head = HEADER.parse(blob)
        self._offset: int = hdr_len + head.type_off
        self._strings = blob[hdr_len + head.str_off :][: head.str_len]
        if self._strings[-1]:
            raise BtfError(f"BTF strings at offset {hdr_len + head.str_off} do not end with NUL")
        self._words: Any = memoryview(blob)[self._offset : self._offset + head.type_len].cast("I")
        layout = blob[hdr_len + head.layout_off :][: head.layout_len] if head.layout_len else b""
        self._starts = self._find_starts(_Lengths(layout))
        self.base = base
        self.first: int = base.end if base else 1
        self.end: int = self.first + len(self._starts)
        self._first_string: int = base._end_string if base else 0
        self._end_string: int = self._first_string + len(self._strings)
        self._tables: dict[tuple[int, ...], dict[bytes, int]] = {}
        self._starts_of: dict[tuple[int, ...], tuple[npt.NDArray[np.intp], npt.NDArray[np.uint64]]] = {}

    def _find_starts(self, lengths: _Lengths) -> array[int]:
        words, starts = self._words, array("I")
        word, end, note = 0, len(words), starts.append
        try:
            while word < end:
                note(word)
                word += lengths[words[word + 1]]
        except (IndexError, KeyError) as error:
            raise BtfError(f"BTF type at offset {self._offset + 4 * word}: {error.args[0]}") from None
        if word != end:
            raise BtfError(f"BTF type at offset {self._offset + 4 * starts[-1]} runs past the type section")
        return starts

    def raw(self, number: int) -> RawType:
        """The type of this number, of this blob or its base; BtfError if there is none."""
        owner, index = self._owner(number)
        start = owner._starts[index]
        stop = owner._starts[index + 1] if index + 1 < len(owner._starts) else len(owner._words)
        name, info, size_or_type, *words = owner._words[start:stop].tolist()
        return RawType(number, self.string(name), info >> 24 & 0x7F, bool(info >> 31), size_or_type, words)

    def string(self, offset: int) -> str:
        """The string at an offset of the string section; BtfError if it is outside or too long."""
        return self._bytes(offset).decode(errors="backslashreplace")

    def named(self, kinds: tuple[int, ...], name: str, *, few: bool = False) -> int | None:
        """Id of the first type of this name and one of these kinds; those of the base come first.

        few: of these kinds few names will be asked for, so that it costs less to look for one than to list all.
        """
        if self.base and (number := self.base.named(kinds, name, few=few)) is not None:
            return number
        text = name.encode(errors="replace")
        if not few or self.base or kinds in self._tables or not 0 < len(text) < _MAX_NAME:
            return self.names(kinds).get(text)
        rows, starts = self._beginnings(kinds)
        alike = starts & np.uint64((1 << 8 * min(len(text) + 1, 8)) - 1)
        for row in rows[alike == np.uint64(int.from_bytes(text[:8], "little"))].tolist():
            if self._bytes(int(self._heads[0][row])) == text:
                return int(row) + self.first
        return None

    def _beginnings(self, kinds: tuple[int, ...]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint64]]:
        """(rows of the own types of these kinds that have a name, the name's first eight bytes as a number)."""
        known = self._starts_of.get(kinds)
        if known is None:
            offsets, kind = self._heads
            rows = np.flatnonzero(_among(kind, kinds) & (offsets > 0) & (offsets < len(self._strings)))
            known = self._starts_of[kinds] = rows, self._eights[offsets[rows]]
        return known

    @functools.cached_property
    def _eights(self) -> npt.NDArray[np.uint64]:
        """The eight bytes from each offset of the strings as a number; zeros follow the last."""
        return np.ndarray((len(self._strings),), "<u8", self._strings + bytes(7), 0, (1,))

    def names(self, kinds: tuple[int, ...]) -> dict[bytes, int]:
        """All names of this blob's own types of these kinds, with the id of the first type of each."""
        table = self._tables.get(kinds)
        if table is None:
            offsets, kind = self._heads
            chosen = np.flatnonzero(_among(kind, kinds) & (offsets > 0))
            table = {}
            for name, number in zip(self._names_at(offsets[chosen]), (chosen + self.first).tolist(), strict=True):
                table.setdefault(name, number)
            self._tables[kinds] = table
        return table

    def _names_at(self, offsets: npt.NDArray[np.uint32]) -> list[bytes]:
        """The strings at these offsets of the string section; BtfError as for one, and if they are too many bytes."""
        ends = self._ends
        begin: npt.NDArray[np.int64] = offsets.astype(np.int64) - self._first_string
        own = (begin >= 0) & (begin < len(self._strings))  # the others: of the base, or of nothing
        end = ends[np.searchsorted(ends, np.where(own, begin, 0))]
        own &= end - begin < _MAX_NAME
        begin, end = np.where(own, begin, 0), np.where(own, end, 0)
        total, strings = int((end - begin).sum()), self._strings
        _check_names(total)
        names = [strings[first:last] for first, last in zip(begin.tolist(), end.tolist(), strict=True)]
        for index in np.flatnonzero(~own).tolist():
            names[index] = self._bytes(int(offsets[index]))
            total += len(names[index])
            _check_names(total)
        return names

    @functools.cached_property
    def _heads(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
        """(offset of its name, its kind in bits 6..0 and its kind flag in bit 7) of each own type."""
        starts, words = np.frombuffer(self._starts, np.uint32), np.asarray(self._words, np.uint32)
        return words[starts], (words[starts + 1] >> 24).astype(np.uint8)

    @functools.cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(np.frombuffer(self._strings, np.uint8) == 0)

    def kinds(self) -> npt.NDArray[np.uint8]:
        """uint8 array with the kind of each own type in bits 6..0 and its kind flag in bit 7."""
        return self._heads[1]

    def tag(self) -> bytes:
        """The type section's bytes, to tell blobs apart."""
        return bytes(self._words)

    def error(self, number: int, what: str) -> BtfError:
        """An error about a type, with its place in the blob."""
        if number == 0:
            return BtfError(f"BTF type 0 (void) {what}")
        owner, index = self._owner(number)
        return BtfError(f"BTF type {number} at offset {owner._offset + 4 * owner._starts[index]} {what}")

    def _owner(self, number: int) -> tuple[Blob, int]:
        if self.base and number < self.first:
            return self.base._owner(number)
        if not self.first <= number < self.end:
            raise BtfError(f"BTF type number {number} is outside {self.first}..{self.end - 1}")
        return self, number - self.first

    def _bytes(self, offset: int) -> bytes:
        if self.base and offset < self._first_string:
            return self.base._bytes(offset)
        start = offset - self._first_string
        end = self._strings.find(0, start, start + _MAX_NAME)
        if end < 0:
            raise BtfError(f"BTF string at offset {offset} of the string section is outside it or too long")
        return self._strings[start:end]


def _among(kind: npt.NDArray[np.uint8], kinds: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Whether each kind, with its flag, is one of those."""
    wanted = np.zeros(256, bool)
    wanted[[number | flag for number in kinds for flag in (0, 0x80)]] = True
    return wanted[kind]


def _check_names(total: int) -> None:
    if total > _MAX_NAMES:
        raise BtfError(f"BTF names together are longer than {_MAX_NAMES} bytes")


class _Lengths(dict[int, int]):
    """Length in 32-bit words of a type by its `info` word; a kernel has some thousand different ones."""

    def __init__(self, layout: bytes) -> None:
        """layout: the layout section (struct btf_layout: u8 info_sz, u8 elem_sz, u16 flags, by kind)."""
        self._layout = layout

    def __missing__(self, info: int) -> int:
        kind, vlen = info >> 24 & 0x7F, info & 0xFFFFFF
        if INT <= kind <= ENUM64:
            words = 3 + _FIXED.get(kind, 0) + _PER_ITEM.get(kind, 0) * vlen
        elif kind and len(self._layout) >= 4 * kind + 4:  # a kind newer than this file, which the blob explains
            words = 3 + (self._layout[4 * kind] + self._layout[4 * kind + 1] * vlen) // 4
        else:
            raise KeyError(f"unknown kind {kind}")
        self[info] = words
        return words
