# SPDX-License-Identifier: Apache-2.0
"""Fields of many objects in one gather: on real kernels, and on made-up memory for what is torn or hostile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.errors import SymbolsError
from memir.kernel.engine import dtype_of, texts
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.types import Member, TypeRef
from tests.images import case
from tests.kernel.fake import BYTE, DIRECT, INT, POINTER, array, fake_kernel

NodeOf = Callable[[str], RamSource]
VMALLOC = 0xFFFF_C900_0000_0000
"""Start of vmalloc space: neither in the direct map nor in the kernel image, so that page tables are walked."""


def test_types_of_members() -> None:
    assert dtype_of(Member(0, INT)) == np.dtype("<i4")
    assert dtype_of(Member(0, BYTE)) == np.dtype("<u1")
    assert dtype_of(Member(0, POINTER)) == np.dtype("<u8")
    assert dtype_of(Member(0, array(INT, 3))) == np.dtype("<i4")
    assert dtype_of(Member(0, TypeRef("enum", 4, "e", signed=True))) == np.dtype("<i4")
    assert dtype_of(Member(0, INT, bit_size=3)) == np.dtype("<u4")  # bit-fields are unsigned


def test_members_of_every_task(node_of: NodeOf, image: str) -> None:
    """pid and comm are those of /proc, an array has a row a task, and what holds a member is where it began."""
    node = node_of(image)
    kernel, task = node.kernel, node.processes.task
    recorded = case(image).recorded()
    pid = kernel.read(task, "task_struct", "pid")
    assert pid.dtype == np.int32
    assert {int(number) for number in pid} == {row.pid for row in node.processes.rows}
    assert len({int(number) for number in pid} & set(recorded)) > 30
    comm = kernel.read(task, "task_struct", "comm")
    assert comm.shape == (len(task), 16)
    leader = kernel.pointer(task, "task_struct", "group_leader")
    assert leader.dtype == np.uint64 and np.array_equal(leader, task)
    node_addresses = kernel.embedded(task, "task_struct", "tasks")
    assert np.array_equal(kernel.container(node_addresses, "task_struct", "tasks"), task)
    assert np.array_equal(kernel.pointers(node_addresses), kernel.read(task, "task_struct", "tasks.next"))


def test_bit_fields(node_of: NodeOf, image: str) -> None:
    """task_struct.in_execve is one bit: 0 or 1, and nobody was in execve() when the image was taken."""
    node = node_of(image)
    bit = node.kernel.read(node.processes.task, "task_struct", "in_execve")
    assert node.kernel.types.member("task_struct", "in_execve").bit_size == 1
    assert bit.tolist() == [0] * len(node.processes.rows)


def test_first_member(node_of: NodeOf) -> None:
    old, new = node_of("s-5.10-small-v1").kernel, node_of("s-6.1-small").kernel
    assert [kernel.first_member("task_struct", "__state", "state") for kernel in (old, new)] == ["state", "__state"]
    with pytest.raises(SymbolsError):
        new.first_member("task_struct", "no_such_member")
    with pytest.raises(SymbolsError):
        new.read(u64(0), "task_struct", "no_such_member")


def test_nothing_reads_as_nothing_and_the_unreadable_is_counted() -> None:
    kernel = fake_kernel({0x2000 + 16: 0x1234})
    beyond = DIRECT + (1 << 30)  # mapped, but the image ends before it
    addresses = u64(DIRECT + 0x2000, 0, beyond, 0x1000)
    values, read = kernel.try_read(addresses, "task_struct", "tasks")
    assert values.tolist() == [0x1234, 0, 0, 0] and read.tolist() == [True, False, False, False]
    assert kernel.pointer(addresses, "task_struct", "tasks", gap=False).tolist() == [0x1234, 0, 0, 0]
    assert list(kernel.gaps) == []
    assert kernel.pointer(addresses, "task_struct", "tasks").tolist() == [0x1234, 0, 0, 0]
    assert [(gap.kind, gap.where, gap.count) for gap in kernel.gaps] == [("task_struct.tasks", f"{beyond:#x}", 2)]
    assert kernel.embedded(u64(0, 16), "task_struct", "tasks").tolist() == [0, 32]
    assert kernel.container(u64(0, 32), "task_struct", "tasks").tolist() == [0, 16]
    assert kernel.try_pointers(u64(0, DIRECT + 0x2010, beyond))[1].tolist() == [False, True, False]
    assert kernel.pointers(u64(0, DIRECT + 0x2010)).tolist() == [0, 0x1234]


IN_IMAGE = ("init_task", "jiffies", "linux_banner", "swapper_pg_dir")  # the first three: data, which has names mostly


def test_one_word_as_many(node_of: NodeOf, image: str) -> None:
    """Of the direct map, of the kernel image, of what page tables map, and of nothing."""
    kernel = node_of(image).kernel
    task = node_of(image).processes.task
    modules = node_of(image).modules.module
    image_words = u64(*(kernel.symbols[name] for name in IN_IMAGE if name in kernel.symbols))
    hostile = u64(0, 1, VMALLOC, (1 << 64) - 4, 1 << 63, kernel.space.direct[1] - 1, int(task[0]) + 3)
    addresses = np.concatenate((task, modules, modules + np.uint64(8), image_words, hostile))
    words, read = kernel.try_pointers(addresses)
    assert len(modules) and read[: len(task) + 2 * len(modules) + len(image_words)].all()
    for _ in range(2):  # the second time pages are known
        for address, word, there in zip(addresses.tolist(), words.tolist(), read.tolist(), strict=True):
            assert kernel.word(address) == (word if there else None), hex(address)


def test_an_array_of_pointers_has_a_row_an_object() -> None:
    kernel = fake_kernel({0x3000 + 40: 7, 0x3000 + 40 + 8 * 63: 9})
    slots = kernel.pointer(u64(DIRECT + 0x3000, 0), "xa_node", "slots")
    assert slots.shape == (2, 64)
    assert slots[0].nonzero()[0].tolist() == [0, 63] and not slots[1].any()


def scattered() -> dict[int, int | bytes]:
    """Tables that map two pages of vmalloc space, which lie apart in RAM, and a third beyond the image."""
    top, upper, middle, last = 0x10_2000, 0x20_0000, 0x20_1000, 0x20_2000
    return {
        top + 8 * ((VMALLOC >> 39) & 511): upper | 3,
        upper + 8 * ((VMALLOC >> 30) & 511): middle | 3,
        middle + 8 * ((VMALLOC >> 21) & 511): last | 3,
        last: 0x8000 | 3,
        last + 8: 0x5000 | 3,
        last + 16: (1 << 40) | 3,
    }


def test_bytes_that_go_on_in_another_page() -> None:
    kernel = fake_kernel({**scattered(), 0x8FFC: b"abcd", 0x5000: b"efgh", 0x9000: b"XXXX"})
    raw, read = kernel.read_bytes(u64(VMALLOC + 0xFFC, VMALLOC + 0x1FFC, 0), 8)
    assert raw[0].tobytes() == b"abcdefgh"
    assert read.tolist() == [True, False, False]  # the second goes on in a page that is not in the image
    assert not raw[1].any()
    _, read = kernel.read_bytes(u64(VMALLOC), 8, objects=u64(0))
    assert read.tolist() == [False]


def test_strings() -> None:
    long = b"n" * 100
    kernel = fake_kernel(
        {**scattered(), 0x2000: b"short\0", 0x3000: long + b"\0", 0x4000: b"z" * 300, 0x5FFA: b"end\0\0\0"}
    )
    addresses = u64(DIRECT + 0x2000, 0, DIRECT + 0x3000, DIRECT + 0x2000, DIRECT + 0x4000, VMALLOC + 0x1FFA)
    # 300 bytes without an end are no name; one that ends before unreadable memory is
    assert kernel.strings(addresses) == [b"short", None, long, b"short", None, b"end"]
    assert kernel.strings(addresses[2:3], limit=64) == [None]


def test_texts() -> None:
    assert texts([b"p\xc3\xb6d", b"\xff", None, b""]) == ["p\u00f6d", "\\xff", None, ""]
