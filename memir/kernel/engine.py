# SPDX-License-Identifier: Apache-2.0
"""The engine: fields of any number of kernel objects in one gather.

`Kernel.read(addresses, "vm_area_struct", "vm_start")` gives an array. Nothing here knows what the objects mean; the
files beside this one, each named after a kernel header, do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memir.gaps import Gaps
from memir.image.memory import PhysicalMemory
from memir.kernel.pagetable import U64, Bools
from memir.kernel.space import AddressSpace, open_space, u64
from memir.symbols.anchors import Anchors
from memir.symbols.types import KernelTypes, Member

_STRINGS = 1 << 16  # read at once
_PAGES = 1 << 16  # whose places are kept
_STRING_STEP = 64  # most names and paths end in the first 64 bytes: one gather


def dtype_of(member: Member) -> np.dtype[Any]:
    """The numpy type of a scalar member: pointers and bit-fields unsigned, ints and enums by size and sign."""
    inner = member.type
    if inner.kind == "array" and inner.element is not None:
        inner = inner.element
    signed = inner.signed and inner.kind in ("int", "enum") and not member.bit_size
    return np.dtype(f"<{'i' if signed else 'u'}{inner.size or 8}")


class Kernel:
    """A located kernel and the memory it lives in.

    Address arguments are uint64[n] of kernel virtual addresses; 0 stands for "none" and reads as 0 without a gap.
    Whatever else cannot be read gives 0 and is counted in `gaps`.
    """

    def __init__(self, memory: PhysicalMemory, anchors: Anchors, gaps: Gaps | None = None) -> None:
        self.memory = memory
        self.anchors = anchors
        self.types: KernelTypes = anchors.types
        self.symbols = anchors.symbols
        self.gaps = gaps if gaps is not None else Gaps()
        self.space: AddressSpace = open_space(memory, anchors, self.gaps)
        self.read_once: dict[str, Any] = {}
        """What files beside this one keep with the kernel, as they would read it again for each who asks."""
        self._pages: dict[int, int] = {}  # physical page by virtual one, of words outside the direct map

    def try_read(self, addresses: U64, struct: str, path: str) -> tuple[NDArray[Any], Bools]:
        """(values, read) of one scalar member of many objects; values are 0 where not read. No gap is counted.

        An array member gives values of shape (n, count). SymbolsError if the kernel has no such member.
        """
        member = self.types.member(struct, path)
        addresses = np.asarray(addresses, np.uint64)
        if member.type.kind == "array":
            dtype = dtype_of(member)
            raw, ok = self.read_bytes(
                addresses + np.uint64(member.offset), member.type.count * dtype.itemsize, addresses
            )
            return raw.view(dtype), ok
        pa, known = self.space.physical(addresses + np.uint64(member.offset))
        values, ok = self.memory.gather_as(pa, dtype_of(member).str)
        values, ok = _of_known(values, ok, known, addresses)
        if member.bit_size:
            mask = np.uint64((1 << member.bit_size) - 1)
            values = (values.astype(np.uint64) >> np.uint64(member.bit_offset)) & mask
        return values, ok

    def read(self, addresses: U64, struct: str, path: str) -> NDArray[Any]:
        """Values of one scalar (or array) member of many objects; what cannot be read is 0 and a counted gap."""
        values, ok = self.try_read(addresses, struct, path)
        self.count_unread(f"{struct}.{path}", addresses, ok)
        return values

    def pointer(self, addresses: U64, struct: str, path: str, *, gap: bool = True) -> U64:
        """Values of one member that holds an address, of many objects: what cannot be read is 0 and a gap.

        An array of pointers gives shape (n, count). gap: False where the caller judges what a 0 means, or the object
        may well be none.
        """
        values = self.read(addresses, struct, path) if gap else self.try_read(addresses, struct, path)[0]
        return np.asarray(values, np.uint64)

    def embedded(self, addresses: U64, struct: str, path: str) -> U64:
        """Addresses of an embedded member of many objects; 0 stays 0."""
        addresses = np.asarray(addresses, np.uint64)
        return np.where(addresses != 0, addresses + np.uint64(self.types.offset(struct, path)), np.uint64(0))

    def container(self, addresses: U64, struct: str, path: str) -> U64:
        """Addresses of the objects in which these members lie (container_of); 0 stays 0."""
        addresses = np.asarray(addresses, np.uint64)
        return np.where(addresses != 0, addresses - np.uint64(self.types.offset(struct, path)), np.uint64(0))

    def pointers(self, addresses: U64) -> U64:
        """The 64-bit words at these addresses, 0 where not readable (no gap: callers judge what that means)."""
        values, _ = self.try_pointers(addresses)
        return values

    def try_pointers(self, addresses: U64) -> tuple[U64, Bools]:
        """(words, read) at these addresses."""
        addresses = np.asarray(addresses, np.uint64)
        pa, known = self.space.physical(addresses)
        values, ok = self.memory.gather_as(pa, "<u8")
        return _of_known(values, ok, known, addresses)

    def word(self, address: int) -> int | None:
        """As try_pointers() of one address, None where not read: quicker where one leads to the next."""
        physical = address - self.space.direct_delta
        first, end = self.space.direct
        if first <= address < end and 0 <= physical < self.memory.end:
            return self.memory.word(physical)
        page = self._pages.get(address >> 12)
        if page is None:
            pa, known = self.space.physical(np.array([address], np.uint64))
            if not known[0] or not address:
                return None
            page = int(pa[0]) >> 12
            if len(self._pages) < _PAGES:
                self._pages[address >> 12] = page
        return self.memory.word(page << 12 | address & 0xFFF)

    def read_bytes(self, addresses: U64, size: int, objects: U64 | None = None) -> tuple[NDArray[np.uint8], Bools]:
        """(uint8[n, size], read) of the bytes at these addresses; runs that cross into another page are followed.

        objects: when given, rows whose object is 0 are not read (an address of a member of nothing).
        """
        addresses = np.asarray(addresses, np.uint64)
        pa, known = self.space.physical(addresses)
        raw, ok = self.memory.gather(pa, size)
        ok = ok & known & ((addresses if objects is None else np.asarray(objects)) != 0)
        crossing = ok & self._leaves_page(addresses, size)
        for row in np.flatnonzero(crossing):
            self._cross(raw, ok, int(row), int(addresses[row]), size)
        raw[~ok] = 0
        return raw, ok

    def _leaves_page(self, addresses: U64, size: int) -> Bools:
        """Rows outside the direct map whose bytes go on in another page, which may lie elsewhere in RAM."""
        low = addresses & np.uint64(0xFFF)
        direct = (addresses >= np.uint64(self.space.direct[0])) & (addresses < np.uint64(self.space.direct[1]))
        image = (addresses >= np.uint64(self.space.image[0])) & (addresses < np.uint64(self.space.image[1]))
        return (low + np.uint64(size) > 4096) & ~direct & ~image

    def _cross(self, raw: NDArray[np.uint8], ok: Bools, row: int, address: int, size: int) -> None:
        done = 0
        while done < size:
            step = min(size - done, 4096 - ((address + done) & 0xFFF))
            pa, known = self.space.physical(u64(address + done))
            part, read = self.memory.gather(pa, step)
            if not (known[0] and read[0]):
                ok[row] = False
                return
            raw[row, done : done + step] = part[0]
            done += step

    def strings(self, addresses: U64, limit: int = 256) -> list[bytes | None]:
        """NUL-terminated strings at these addresses, None where not readable or not ended within `limit` bytes.

        Equal addresses are read once. 64 bytes are read first, as most names are short, then the rest.
        """
        unique, back = np.unique(np.asarray(addresses, np.uint64), return_inverse=True)
        texts: list[bytes | None] = []
        for begin in range(0, len(unique), _STRINGS):
            texts += self._strings(unique[begin : begin + _STRINGS], limit)
        return [texts[row] for row in back.tolist()]

    def _strings(self, unique: U64, limit: int) -> list[bytes | None]:
        texts: list[bytes | None] = [None] * len(unique)
        open_rows = np.flatnonzero(unique != 0)
        size = min(_STRING_STEP, limit)
        while len(open_rows):
            raw, ok = self._string_bytes(unique[open_rows], size)
            lengths = (raw == 0).argmax(axis=1)
            ended = raw[np.arange(len(raw)), lengths] == 0
            whole, every = np.flatnonzero(ok & ended), raw.tobytes()
            for row, start, length in zip(
                open_rows[whole].tolist(), (whole * size).tolist(), lengths[whole].tolist(), strict=True
            ):
                texts[row] = every[start : start + length]
            open_rows = open_rows[ok & ~ended]
            if size >= limit:
                break
            size = min(size * 4, limit)
        return texts

    def _string_bytes(self, addresses: U64, size: int) -> tuple[NDArray[np.uint8], Bools]:
        """Like read_bytes, but a string that ends before unreadable memory is still read."""
        raw, ok = self.read_bytes(addresses, size)
        for row in np.flatnonzero(~ok):
            room = 4096 - (int(addresses[row]) & 0xFFF)
            if room < size:
                part, read = self.read_bytes(addresses[row : row + 1], room)
                if read[0] and (part[0] == 0).any():
                    raw[row, :room], ok[row] = part[0], True
        return raw, ok

    def count_unread(self, kind: str, addresses: U64, ok: Bools, why: str = "not readable") -> None:
        """Count as gaps the addresses that are not 0 and were not read; why: the reason."""
        if np.count_nonzero(ok) == np.size(ok):
            return
        addresses = np.asarray(addresses, np.uint64)
        bad = np.flatnonzero(~ok & (addresses != 0))
        if len(bad):
            self.gaps.add(kind, f"{int(addresses[bad[0]]):#x}", why, len(bad))

    def first_member(self, struct: str, *paths: str) -> str:
        """The first of these members that this kernel has; newest layout named first."""
        return self.types.first(struct, *paths)


def _of_known(
    values: NDArray[Any], ok: Bools, known: Bools, addresses: U64
) -> tuple[NDArray[Any], Bools]:
    """(values, read): 0 where they were not read, or have no known address. Nothing is copied where all were."""
    if np.count_nonzero(ok) == np.count_nonzero(known) == np.count_nonzero(addresses) == ok.size:
        return values, ok
    ok = ok & known & (addresses != 0)
    return np.where(ok, values, values.dtype.type(0)), ok


def texts(names: Sequence[bytes | None]) -> list[str | None]:
    """Bytes from the kernel as text: UTF-8 where valid, other bytes as backslash escapes; None stays None."""
    return [None if name is None else name.decode("utf-8", "backslashreplace") for name in names]
