# SPDX-License-Identifier: Apache-2.0
"""Objects of zsmalloc: all that a real node's zram has are found, proved by their handle; nothing else is."""

from __future__ import annotations

import numpy as np

from memir.kernel import zsmalloc
from tests.kernel.held import node
from tests.kernel.test_zram import devices


def test_every_object_is_found() -> None:
    kernel = node().kernel
    for device in devices():
        slots = device.slots(np.arange(1, 4096))
        rows = np.flatnonzero(slots.size > 0)
        objects = zsmalloc.locate(kernel, slots.handle[rows], slots.size[rows])
        assert objects.ok.all()
        # some run into the next page of their zspage
        across = objects.second != 0
        assert across.any() and (objects.room[~across] == slots.size[rows][~across]).all()
        row = int(np.flatnonzero(across)[0])
        data = zsmalloc.content(kernel, objects, row, int(slots.size[rows][row]))
        assert data is not None and len(data) == slots.size[rows][row]
        head = kernel.memory.gather(objects.first - np.uint64(8), 8)[0].view("<u8")[:, 0]
        small = slots.size[rows] < 4096
        assert (head[small] == slots.handle[rows][small] | np.uint64(1)).all()


def test_what_is_no_handle_is_not_found() -> None:
    kernel = node().kernel
    slots = devices()[0].slots(np.arange(1, 4096))
    handle = slots.handle[slots.size > 0]
    odd = np.array([0, 5, 2**64 - 8], np.uint64)
    objects = zsmalloc.locate(kernel, odd, np.full(len(odd), 100))
    assert not objects.ok.any() and zsmalloc.content(kernel, objects, len(odd) - 1, 100) is None
    assert not zsmalloc.locate(kernel, handle[:2], np.array([0, 5000])).ok.any()
