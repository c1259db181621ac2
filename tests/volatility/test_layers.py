# SPDX-License-Identifier: LicenseRef-VSL-1.0
from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from volatility3.framework import contexts, exceptions
from volatility3.framework.layers.scanners import BytesScanner, RegExScanner

from memir.image.memory import PhysicalMemory, Range
from memir.volatility.layers import AArch64, Intel4, Intel5, KernelPages, MemirLayer


def memory(parts: dict[int, bytes], missing: Sequence[int] = ()) -> PhysicalMemory:
    """RAM with these runs of bytes; pages of `missing` turn out to be absent when they are read."""

    def read(pa: int, size: int) -> bytes | None:
        if any(pa < page + 4096 and page < pa + size for page in missing):
            return None
        start = max(at for at in parts if at <= pa)
        return parts[start][pa - start : pa - start + size]

    return PhysicalMemory.from_reader(
        [Range(at, len(data)) for at, data in sorted(parts.items())], read, "test", "test"
    )


def physical(parts: dict[int, bytes], missing: Sequence[int] = ()) -> tuple[Any, MemirLayer]:
    context = contexts.Context()
    layer = MemirLayer(context, "memory", "memory", memory(parts, missing))
    context.add_layer(layer)
    return context, layer


def test_holes_are_invalid_and_never_zeros() -> None:
    _, layer = physical({0x1000: b"a" * 0x2000, 0x8000: b"b" * 0x1000})
    assert (layer.minimum_address, layer.maximum_address) == (0x1000, 0x8FFF)
    assert layer.read(0x1FFE, 4) == b"aaaa"
    assert layer.is_valid(0x2FFF)
    assert layer.is_valid(0x1000, 0x2000)
    assert not layer.is_valid(0x2FFF, 2)
    assert not layer.is_valid(0)
    assert not layer.is_valid(1 << 60)
    for offset, length in ((0, 1), (0x2FFF, 2), (0x3000, 1), (0x9000, 1), (1 << 62, 8)):
        with pytest.raises(exceptions.InvalidAddressException, match=f"{offset:#x}"):
            layer.read(offset, length)
    assert layer.read(0x2FFE, 4, pad=True) == b"aa\0\0"
    assert layer.read(0x5000, 3, pad=True) == b"\0\0\0"
    with pytest.raises(NotImplementedError):
        layer.write(0x1000, b"x")


def test_pages_that_turn_out_to_be_missing() -> None:
    _, layer = physical({0: b"a" * 0x4000}, missing=[0x1000])
    assert layer.read(0xFFF, 1) == b"a"
    with pytest.raises(exceptions.InvalidAddressException):
        layer.read(0x1800, 8)
    with pytest.raises(exceptions.InvalidAddressException):
        layer.read(0xFFC, 8)
    assert layer.read(0xFFC, 8, pad=True) == b"aaaa\0\0\0\0"


def test_scans_find_what_lies_around_holes() -> None:
    needle = b"needle"
    parts = {0x1000: needle + bytes(0x1FFA), 0x8000: bytes(0xFFA) + needle, 0x10000: needle * 3 + bytes(0xFEE)}
    context, layer = physical(parts)
    found = sorted(layer.scan(context, BytesScanner(needle)))
    assert found == [0x1000, 0x8FFA, 0x10000, 0x10006, 0x1000C]
    assert sorted(layer.scan(context, RegExScanner(re.escape(needle)))) == found
    assert sorted(layer.scan(context, BytesScanner(needle), sections=[(0x8000, 0x8100)])) == found[1:]


def tables(levels: dict[int, dict[int, int]], base: int = 0) -> dict[int, bytes]:
    """Page tables: {physical page: {index: entry}} as RAM from `base` on."""
    pages = bytearray(0x40000)
    for table, entries in levels.items():
        for index, entry in entries.items():
            struct.pack_into("<Q", pages, table - base + 8 * index, entry)
    return {base: bytes(pages)}


def virtual(kind: type[KernelPages], parts: dict[int, bytes], **config: int | bool) -> KernelPages:
    context, _ = physical(parts)
    for name, value in {"memory_layer": "memory", "vmemmap": 0, **config}.items():
        context.config[f"kernel.{name}"] = value
    layer = kind(context, "kernel", "kernel", {"os": "Linux"})
    context.add_layer(layer)
    return layer


def indexes(address: int, levels: int) -> list[int]:
    return [address >> 12 + 9 * level & 511 for level in range(levels - 1, -1, -1)]


@pytest.mark.parametrize(
    ("kind", "levels", "address"), [(Intel4, 4, 0xFFFF888000123000), (Intel5, 5, 0xFF11000000123000)]
)
def test_x86_with_four_and_five_levels(kind: type[KernelPages], levels: int, address: int) -> None:
    chain = [0x1000 * (level + 1) for level in range(levels)] + [0x20000]
    entries = {
        table: {index: after | 3}
        for table, index, after in zip(chain, indexes(address, levels), chain[1:], strict=False)
    }
    entries[chain[-2]][indexes(address + 0x1000, levels)[-1]] = 0x21000 | 1 << 63 | 1
    parts = tables(entries)
    parts[0] = parts[0][:0x20000] + b"payload!".ljust(0x1000, b"\0") + parts[0][0x21000:]
    layer = virtual(kind, parts, page_map_offset=0x1000)
    masked = address & layer.address_mask
    assert layer.canonicalize(masked) == address
    assert layer.read(masked, 8) == b"payload!"
    assert layer.translate(masked + 0x1010) == (0x21010, "memory")
    assert layer.metadata["architecture"] == "Intel64"
    assert not layer.is_valid(masked + 0x2000)
    with pytest.raises(exceptions.PagedInvalidAddressException):
        layer.read(masked + 0x2000, 1)


def test_arm64_with_four_levels_and_blocks() -> None:
    kernel, user, block = 0xFFFF000001234000, 0x0000_5500_1234_5000, 0xFFFF000040000000
    entries: dict[int, dict[int, int]] = {}

    def put(root: int, address: int, tail: list[int], first: int) -> None:
        table, where = root, indexes(address, 4)
        for depth, entry in enumerate([*range(first, first + 0x1000 * (len(tail) - 1), 0x1000)]):
            entries.setdefault(table, {}).setdefault(where[depth], entry | 3 | 1 << 60)
            table = entries[table][where[depth]] & 0xFFFFFFFFF000
        entries.setdefault(table, {})[where[len(tail) - 1]] = tail[-1]

    put(0x1000, kernel, [3, 3, 3, 0x20000 | 3], 0x2000)
    put(0x8000, user, [3, 3, 3, 0x21000 | 0xFC3], 0x9000)
    put(0x1000, block, [3, 3, 0x200000 | 0x701], 0x2000)
    parts = tables(entries)
    page = b"kernel".ljust(0x1000, b"\0") + b"user".ljust(0x1000, b"\0")
    parts[0] = parts[0][:0x20000] + page + parts[0][0x22000:]
    parts[0x200000] = b"block".ljust(0x200000, b"B")
    layer = virtual(AArch64, parts, page_map_offset=0x8000, kernel_root=0x1000, levels=4, lpa2=False)
    assert layer.read(kernel & layer.address_mask, 6) == b"kernel"
    assert layer.read(layer.decanonicalize(kernel), 6) == b"kernel"
    assert layer.canonicalize(kernel & layer.address_mask) == kernel
    assert layer.read(user, 4) == b"user"
    assert layer.canonicalize(0xA5 << 56 | user) == user  # a tag falls away
    assert layer.read(block + 0x1FF000 & layer.address_mask, 2) == b"BB"
    for bad in (kernel + 0x1000, user + 0x1000, 0):
        assert not layer.is_valid(bad & layer.address_mask)
    assert layer.metadata["architecture"] == "Intel64"


def test_arm64_with_five_levels_and_52_bits() -> None:
    address = 0xFFF0000000123000
    root = 0x1080  # of 16 entries, not at the start of a page
    entries = {
        root: {address >> 48 & 15: 0x2000 | 3},
        **{0x2000 + 0x1000 * at: {index: 0x3000 + 0x1000 * at | 3} for at, index in enumerate(indexes(address, 4)[:3])},
        0x5000: {indexes(address, 4)[3]: 0x20000 | 3, indexes(address, 4)[3] + 1: 0x20000 | 3 | 1 << 8},
    }
    parts = tables(entries)
    parts[0] = parts[0][:0x20000] + b"five".ljust(0x1000, b"\0") + parts[0][0x21000:]
    layer = virtual(AArch64, parts, page_map_offset=root, kernel_root=root, levels=5, lpa2=True)
    assert layer.read(address & layer.address_mask, 4) == b"five"
    assert layer._translate(address + 0x1000 & layer.address_mask)[0] == 1 << 50 | 0x20000


def test_a_process_layer_is_made_from_the_kernels() -> None:
    layer = virtual(AArch64, tables({}), page_map_offset=0x8000, kernel_root=0x1000, levels=4, lpa2=False)
    config = layer.build_configuration()
    wanted = {"page_map_offset": 0x8000, "kernel_root": 0x1000, "levels": 4, "lpa2": False, "vmemmap": 0}
    assert {name: config[name] for name in wanted} == wanted
