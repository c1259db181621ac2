# SPDX-License-Identifier: Apache-2.0
"""zram devices of a real node: which compressor, which pages, and a device whose layout is not known."""

from __future__ import annotations

import numpy as np

from memir.kernel import zram
from memir.kernel.swap import swap_of
from memir.kernel.zram import Zram
from tests.hunt.hunting import planted
from tests.kernel.held import node


def devices() -> list[Zram]:
    stores = [store for space in swap_of(node().kernel).spaces.values() for store in space.stores]
    return [store for store in stores if isinstance(store, Zram)]


def test_compressors() -> None:
    assert [device.algorithms for device in devices()] == [["lzo-rle"], ["lz4"], ["zstd"]]


def test_pages_of_each_kind() -> None:
    """A page of one repeated word is kept as that word, one that does not pack as it is, the others packed."""
    for device in devices():
        slots = device.slots(np.arange(1, 4096))
        assert 60 <= slots.same.sum() <= 80 and (slots.size == 4096).sum() >= 64
        assert ((slots.size > 0) & (slots.size < 4096)).sum() > 380
        assert slots.there.sum() == (slots.same | (slots.size > 0)).sum()
        assert (device.there(np.arange(1, 4096)) == slots.there).all()
        pages = device.pages(np.flatnonzero(slots.there)[:64] + 1)
        assert device.pages(np.flatnonzero(~slots.there)[:3] + 1) == [None, None, None]
        assert [len(page or b"") for page in pages] == [4096] * 64


def test_a_disk_that_is_no_zram() -> None:
    kernel = node().kernel
    disk = disks()[0]
    assert zram.device(kernel, disk) is not None
    where = int(kernel.space.physical(kernel.pointer(np.array([disk], np.uint64), "gendisk", "private_data"))[0][0])
    other = planted(node(), {where + 24: bytes(8)}).kernel  # zram.disk
    assert zram.device(other, disk) is None
    assert "the device does not name its disk: its pages are not read" in {gap.why for gap in other.gaps}


def disks() -> list[int]:
    kernel = node().kernel
    info = kernel.pointers(np.array([kernel.symbols["swap_info"]], np.uint64))
    disk = kernel.pointer(kernel.pointer(info, "swap_info_struct", "bdev"), "block_device", "bd_disk")
    return [int(address) for address in disk]
