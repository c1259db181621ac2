# SPDX-License-Identifier: Apache-2.0
"""kernel/printk/printk_ringbuffer.h: the kernel's log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.engine import texts
from memir.kernel.list import slots
from memir.kernel.pagetable import U64
from memir.kernel.rows import among, distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_BITS = 24  # records; 2^24 bytes of text would be 2^19 records
_MAX_TEXT_BITS = 30
_COMMITTED, _FINALIZED = 1, 2
_NO_TEXT = 1  # bit 0 of a position: the record has no text
_ID = (1 << 62) - 1


@dataclass(frozen=True)
class Log:
    """Records by sequence number. ns: since boot, by the local clock. level, facility: as syslog numbers them.

    caller: id of the thread that printed, or -1 - N for processor N in an interrupt; text: None where it is not in the
    image. subsystem, device: of the device that a record is about.
    """

    sequence: NDArray[np.int64]
    ns: NDArray[np.int64]
    level: NDArray[np.int64]
    facility: NDArray[np.int64]
    caller: NDArray[np.int64]
    text: list[str | None]
    subsystem: list[str | None]
    device: list[str | None]

    def __len__(self) -> int:
        return len(self.sequence)


def log(kernel: Kernel) -> Log | None:
    """Every record of the ring buffer, 5.10 on; None, and a gap, where it cannot be found."""
    symbol = kernel.symbols.get("prb")
    if symbol is None or not kernel.types.exists("printk_ringbuffer"):
        kernel.gaps.add("kernel log", "prb", "symbol or type not known")
        return None
    ring = kernel.pointers(np.array([symbol], np.uint64))
    place = {name: int(kernel.read(ring, "printk_ringbuffer", path)[0]) for name, path in (
        ("bits", "desc_ring.count_bits"), ("descs", "desc_ring.descs"), ("infos", "desc_ring.infos"),
        ("text_bits", "text_data_ring.size_bits"), ("data", "text_data_ring.data"))}  # fmt: skip
    if not (0 < place["bits"] <= _MAX_BITS and 0 < place["text_bits"] <= _MAX_TEXT_BITS):
        kernel.gaps.add("kernel log", f"{symbol:#x}", "absurd size")
        return None
    desc, info = (_array(kernel, place[name], place["bits"], struct) for name, struct in (
        ("descs", "prb_desc"), ("infos", "printk_info")))  # fmt: skip
    state, ok = kernel.try_read(desc, "prb_desc", "state_var.counter")
    kernel.count_unread("kernel log record", desc, ok)
    state = state.astype(np.int64).view(np.uint64)
    used = np.flatnonzero(ok & among(state >> np.uint64(62), (_COMMITTED, _FINALIZED)))
    desc, info, state = desc[used], info[used], state[used]
    fields = {name: kernel.read(info, "printk_info", name).astype(np.int64) for name in (
        "seq", "ts_nsec", "text_len", "level", "facility")}  # fmt: skip
    caller = kernel.read(info, "printk_info", "caller_id").astype(np.int64)
    names = {name: kernel.strings(kernel.embedded(info, "printk_info", f"dev_info.{name}"), size)
             for name, size in (("subsystem", 16), ("device", 48))}  # fmt: skip
    text = _texts(kernel, desc, state & np.uint64(_ID), fields["text_len"], place)
    order = np.argsort(fields["seq"], kind="stable")

    def sort(values: list[bytes | None]) -> list[str | None]:
        return texts([values[row] or None for row in order.tolist()])

    return Log(
        sequence=fields["seq"][order],
        ns=fields["ts_nsec"][order],
        level=fields["level"][order],
        facility=fields["facility"][order],
        caller=np.where(caller & 0x8000_0000, -1 - (caller & 0x7FFF_FFFF), caller)[order],
        text=texts([text[row] for row in order.tolist()]),
        subsystem=sort(names["subsystem"]),
        device=sort(names["device"]),
    )


def _array(kernel: Kernel, start: int, bits: int, struct: str) -> U64:
    count = np.full(1, 1 << bits, np.uint64)
    return slots(kernel, np.array([start], np.uint64), count, kernel.types.size(struct), "kernel log")


def _texts(
    kernel: Kernel, desc: U64, number: U64, length: NDArray[np.int64], place: dict[str, int]
) -> list[bytes | None]:
    """Text of each record: a block that begins with its record's number; one that would cross the end is at 0."""
    bits, size = np.uint64(place["text_bits"]), 1 << place["text_bits"]
    begin, following = (kernel.read(desc, "prb_desc", f"text_blk_lpos.{name}").astype(np.uint64)
                        for name in ("begin", "next"))  # fmt: skip
    same = begin >> bits == (following - np.uint64(1)) >> bits
    start = np.where(same, begin & np.uint64(size - 1), np.uint64(0))
    has = (begin & np.uint64(_NO_TEXT)) == 0
    block = np.where(has, np.uint64(place["data"]) + start, np.uint64(0))
    mark, ok = kernel.try_pointers(block)
    good = has & ok & (mark == number) & (start.astype(np.int64) + 8 + length <= size)
    kernel.count_unread("kernel log text", block, good)
    answer: list[bytes | None] = [None] * len(desc)
    for row in np.flatnonzero(~has).tolist():
        answer[row] = b""
    for count in distinct(length[good]).tolist():
        rows = np.flatnonzero(good & (length == count))
        raw, read = kernel.read_bytes(block[rows] + np.uint64(8), max(count, 1))
        for row, data, fine in zip(rows.tolist(), raw, read.tolist(), strict=True):
            answer[row] = data[:count].tobytes() if fine else None
    return answer
