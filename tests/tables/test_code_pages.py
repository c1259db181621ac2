# SPDX-License-Identifier: Apache-2.0
"""Changed code: no row on any image, and just the row of a page that was written."""

from __future__ import annotations

from collections.abc import Callable

from memir.kube.ram import RamSource
from memir.tables.code_pages import TABLE, read
from memir.tables.vmas import TABLE as VMAS
from tests.damage import PAGE
from tests.injected import changed, mm_of, pages_of, written

NodeOf = Callable[[str], RamSource]


def server(node: RamSource) -> int:
    """The memfd program of pod B."""
    return next(process.pid for process in node.processes.rows if (process.exe or "").startswith("/memfd:"))


def test_none_where_nobody_wrote(image: str, node_of: NodeOf) -> None:
    assert len(read(node_of(image))) == 0


def test_one_page(node_of: NodeOf) -> None:
    clean = node_of("s-6.1-small")
    pid = next(process.pid for process in clean.processes.rows if process.comm == "secretd")
    page = pages_of(clean, pid, code=True)[2]
    before = clean.kernel.memory.read(page.pa, PAGE)
    node, code, frame = written(clean, pid, 2, {0xFF0: bytes(value ^ 0x55 for value in before[0xFF0:0xFF8])})
    (row,) = TABLE.read(node).rows()
    region = next(row for row in VMAS.read(clean).rows() if row["pid"] == pid and row["start"] <= code.va < row["end"])
    assert {
        key: row[key] for key in ("path", "device", "inode", "permissions", "vma", "pod_name", "container_name")
    } == {key: region[key] for key in ("path", "device", "inode", "permissions", "vma", "pod_name", "container_name")}
    assert row["container_name"] == "miner"
    assert (row["pid"], row["address"], row["frame"]) == (pid, code.va, frame)
    assert row["offset"] == region["offset"] + code.va - region["start"]
    assert (row["differing"], row["breakpoints"], row["first"]) == (8, 0, 0xFF0)
    assert row["file_bytes"] == before[0xFF0:].hex()
    assert row["bytes"] == (bytes(value ^ 0x55 for value in before[0xFF0:0xFF8]) + before[0xFF8:]).hex()
    assert row["deleted"] is False


def test_program_that_has_no_file(node_of: NodeOf) -> None:
    """Its pages are in the page cache all the same."""
    clean = node_of("s-6.1-small")
    before = clean.kernel.memory.read(pages_of(clean, server(clean), code=True)[0].pa, 1)
    node, _, _ = written(clean, server(clean), 0, {0: bytes([before[0] ^ 0xFF])})
    (row,) = TABLE.read(node).rows()
    assert row["pid"] == server(clean) and row["deleted"] is True and row["path"].startswith("/memfd:")
    assert row["differing"] == 1


def test_each_process_that_shares_the_memory(node_of: NodeOf) -> None:
    """CLONE_VM without CLONE_THREAD (vfork): two processes, a row each."""
    clean = node_of("s-6.1-small")
    one, two = (next(p.pid for p in clean.processes.rows if p.comm == name) for name in ("secretd", "entry"))
    written_to, code, _ = written(clean, one, 2, {})
    kernel = written_to.kernel
    row = [process.pid for process in clean.processes.rows].index(two)
    at = kernel.embedded(clean.processes.task[row : row + 1], "task_struct", "mm")
    pa = int(kernel.space.physical(at)[0][0])
    node = changed(written_to, {pa: mm_of(clean, one).to_bytes(8, "little")})
    assert [(found["pid"], found["address"]) for found in TABLE.read(node).rows()] == sorted(
        [(one, code.va), (two, code.va)]
    )
