# SPDX-License-Identifier: Apache-2.0
"""A process's own memory: what it wrote there is found, its files' pages are not, and the work is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from memir.kernel import user_memory
from memir.kernel.user_memory import anonymous_memory
from memir.kube.ram import RamSource
from tests.images import case, small_records

SAMPLE = "s-6.1-small"


def test_a_secret_on_the_heap(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(SAMPLE)
    secret = small_records(case(SAMPLE).truth)["secret"]["heap_secret"].encode()
    holders = [row for row in node.processes.rows if row.args and row.args[0] == "/app/secretd"]
    assert holders
    for row in holders:
        pieces = list(anonymous_memory(node.kernel, row.task))
        assert any(secret in data for _, data in pieces)
        assert all(va % 4096 == 0 and len(data) % 4096 == 0 for va, data in pieces)
        starts = [va for va, _ in pieces]
        assert starts == sorted(starts)
        # the program itself is mapped from its file
        assert not any(data.startswith(b"\x7fELF") and len(data) > 1 << 16 for _, data in pieces)


def test_pages_of_zeros_between_pages_of_zeros_are_left_out(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(SAMPLE)
    left_out = 0
    for row in node.processes.rows:
        pages = _pages(anonymous_memory(node.kernel, row.task))
        data = {va for va, page in pages.items() if any(page)}
        beside = {va for va in pages if {va - 4096, va, va + 4096} & data}
        assert _pages(anonymous_memory(node.kernel, row.task, zeros=False)) == {va: pages[va] for va in beside}
        left_out += len(pages) - len(beside)
    assert left_out == 13


def _pages(pieces: Iterator[tuple[int, bytes]]) -> dict[int, bytes]:
    """Each page by its address."""
    return {va + first: data[first : first + 4096] for va, data in pieces for first in range(0, len(data), 4096)}


def test_pieces_overlap(node_of: Callable[[str], RamSource], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece begins with what the one before ended with, and all of them give the run again."""
    node = node_of(SAMPLE)
    row = max((row for row in node.processes.rows if row.args), key=lambda row: len(row.environ or []))
    whole = list(anonymous_memory(node.kernel, row.task))
    monkeypatch.setattr(user_memory, "PIECE", 4 * 4096)
    monkeypatch.setattr(user_memory, "OVERLAP", 4096)
    joined: dict[int, bytes] = {}
    for va, data in anonymous_memory(node.kernel, row.task):
        run = next((at for at, got in joined.items() if at + len(got) - 4096 == va), None)
        if run is None:
            joined[va] = data
        else:
            assert joined[run].endswith(data[:4096])
            joined[run] += data[4096:]
    assert joined == dict(whole)


def test_no_memory_and_too_much(node_of: Callable[[str], RamSource], monkeypatch: pytest.MonkeyPatch) -> None:
    node = node_of(SAMPLE)
    thread = next(row for row in node.processes.rows if row.kernel_thread)
    assert list(anonymous_memory(node.kernel, thread.task)) == []
    monkeypatch.setattr(user_memory, "MAX_PAGES", 3)
    row = next(row for row in node.processes.rows if row.args and row.args[0] == "/app/secretd")
    assert sum(len(data) for _, data in anonymous_memory(node.kernel, row.task)) <= 3 * 4096
    assert [gap.why for gap in node.gaps if gap.kind == "process memory"] == ["more than is read of one process"]
