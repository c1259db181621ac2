# SPDX-License-Identifier: Apache-2.0
"""What the tests of memir/hunt share: rules from text, an image with other bytes in some places."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memir.hunt.hunt import Hunt, Options, hunt
from memir.hunt.rules import RuleSet, load_rules
from memir.image.memory import PhysicalMemory, Range
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource

PAGE = 4096
SMALLEST = "s-5.10-small-v1"
MARK = "MEMIR-PLANTED-BY-A-TEST-41b7"
WHO = ("owner", "pid", "container_name", "pod_name", "namespace")


def rules(folder: Path, text: str, **externals: Any) -> RuleSet:
    path = folder / "rules.yar"
    path.write_text(text)
    return load_rules([path], externals)


def strings(folder: Path, *texts: str) -> RuleSet:
    """One rule a text, named R0, R1, ..."""
    return rules(
        folder, "\n".join(f'rule R{at} {{ strings: $a = "{text}" condition: $a }}' for at, text in enumerate(texts))
    )


def run(node: RamSource, ruleset: RuleSet, **options: Any) -> Hunt:
    return hunt(node.kernel, ruleset, Options(workers=2, **options), node=node)


def ram(pages: Mapping[int, bytes]) -> PhysicalMemory:
    """RAM of these page frames, each filled up with zeros."""
    ranges = [Range(frame << 12, PAGE) for frame in sorted(pages)]
    merged: list[Range] = []
    for one in ranges:
        if merged and merged[-1].end == one.start:
            merged[-1] = Range(merged[-1].start, merged[-1].size + PAGE)
        else:
            merged.append(one)

    def read(pa: int, size: int) -> bytes:
        return b"".join(pages[at].ljust(PAGE, b"\0") for at in range(pa >> 12, (pa + size) >> 12))

    return PhysicalMemory.from_reader(merged, read, "test", "raw")


def planted(node: RamSource, patches: Mapping[int, bytes]) -> RamSource:
    """The same node as it was read, with other bytes at some addresses; each patch must stay inside its page."""
    memory = node.kernel.memory
    _ = node.containers  # all parts are read

    def read(pa: int, size: int) -> bytes:
        data = bytearray(memory.read_partial(pa, size)[0])
        for at, patch in patches.items():
            assert at & 0xFFF <= PAGE - len(patch)
            if pa <= at < pa + size:
                data[at - pa : at - pa + len(patch)] = patch
        return bytes(data)

    other = PhysicalMemory.from_reader(memory.ranges, read, str(memory.path), memory.format)
    kernel = Kernel(other, node.kernel.anchors)
    other_node = RamSource(kernel)
    vars(other_node).update({name: part for name, part in vars(node).items() if name != "kernel"})  # what was read
    return other_node


def owners(found: Hunt, *columns: str) -> set[tuple[Any, ...]]:
    return {tuple(row[column] for column in columns) for row in found.rows}


def frames(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(numbers, np.uint64)
