# SPDX-License-Identifier: Apache-2.0
"""Commands in the heap of bash: the recorded node's against what was typed (tests/tables/test_recorded_acts.py); here
what a shell has dropped, what is torn, and noise."""

from __future__ import annotations

import random
import struct

from memir.kernel.user_memory import anonymous_memory
from memir.kube.bash_history import heap_commands, is_bash
from tests.kernel.recorded import node
from tests.lab.recorded import COMMANDS

NAME = "s-6.12-recorded"
BASE = 0x5555_0000_0000


def heap(commands: list[tuple[int, bytes]], *, listed: int | None = None) -> bytes:
    """A heap with an entry for each command; `listed`: how many of them the history's list holds."""
    data = bytearray(8)
    entries = []
    for second, text in commands:
        places = []
        for words in (text, f"#{second}".encode()):
            places.append(BASE + len(data))
            data += words + b"\0"
            data += bytes(-len(data) % 8)
        entries.append(BASE + len(data))
        data += struct.pack("<QQQ", *places, 0)
    data += struct.pack(f"<{len(entries)}Q", *entries)[: 8 * (len(entries) if listed is None else listed)] + bytes(16)
    return bytes(data)


def test_in_order_with_time() -> None:
    typed = [(1_795_168_849, b"id"), (1_795_168_850, b"cat /etc/shadow\n# twice"), (1_795_168_850, "échο".encode())]
    (first, second, third) = heap_commands([(BASE, heap(typed))])
    assert (first.text, first.time, first.sequence) == ("id", 1_795_168_849_000_000, 1)
    assert (second.text, third.text, third.sequence) == ("cat /etc/shadow\n# twice", "échο", 3)


def test_dropped_commands_have_no_number() -> None:
    typed = [(1_795_168_849 + number, b"command %d" % number) for number in range(5)]
    lines = heap_commands([(BASE, heap(typed, listed=3))])
    assert [(line.text, line.sequence) for line in lines] == [
        ("command 0", 1), ("command 1", 2), ("command 2", 3), ("command 3", None), ("command 4", None),
    ]  # fmt: skip


def test_pieces_and_missing_pages() -> None:
    typed = [(1_795_168_849 + number, b"x" * 700 + b"%d" % number) for number in range(40)]
    data = heap(typed)
    whole = heap_commands([(BASE, data)])
    assert len(whole) == 40
    # a page that is not in the image takes its commands with it, and no others
    parts = [(BASE, data[:8192]), (BASE + 12288, data[12288:])]
    left = heap_commands(parts)
    assert 20 < len(left) < 40 and {line.text for line in left} < {line.text for line in whole}
    # pieces that overlap give nothing twice
    assert heap_commands([(BASE, data[:16384]), (BASE + 8192, data[8192:])]) == whole


def test_noise() -> None:
    rng = random.Random(11)
    data = bytearray(heap([(1_795_168_849 + number, b"ls %d" % number) for number in range(50)]))
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(40):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        assert len(heap_commands([(BASE, bytes(broken))])) <= 60
    assert heap_commands([]) == heap_commands([(BASE, b"")]) == heap_commands([(BASE, b"#1795168849\0")]) == []


def test_of_a_real_shell() -> None:
    source = node(NAME)
    (shell,) = [process for process in source.processes.rows if is_bash(process.exe, process.comm)]
    lines = heap_commands(anonymous_memory(source.kernel, shell.task))
    assert [line.text for line in lines] == list(COMMANDS)


def test_who_is_a_bash() -> None:
    assert is_bash("/usr/bin/bash", "x") and is_bash("/bin/rbash", None) and is_bash(None, "bash")
    assert not is_bash("/bin/dash", "bash") and not is_bash(None, None) and not is_bash("/bin/bashful", None)
