# SPDX-License-Identifier: Apache-2.0
"""The boot id, where it was asked for, where not, and where it is not readable."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from memir.image.open import open_image
from memir.kernel.engine import Kernel
from memir.kernel.random import boot_id
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.locate import locate
from memir.symbols.table import Symbols
from tests.images import case

SMALL = "s-6.1-small"


def _place(kernel: Kernel) -> int:
    return int(kernel.space.physical(u64(kernel.symbols["sysctl_bootid"]))[0][0])


def test_a_boot_that_nobody_asked_has_no_id(node_of: Callable[[str], RamSource]) -> None:
    kernel = node_of(SMALL).kernel  # busybox never reads /proc/sys/kernel/random/boot_id
    before = len(kernel.gaps)
    assert boot_id(kernel) is None
    assert len(kernel.gaps) == before


@pytest.mark.parametrize("known", [True, False])
def test_an_id_that_was_made(known: bool, tmp_path: Path, node_of: Callable[[str], RamSource]) -> None:
    place = _place(node_of(SMALL).kernel)
    wanted = uuid.UUID("319dfc7f-4434-4631-aab0-0be42fea5ea2") if known else uuid.UUID(int=7)
    path = tmp_path / "copy.raw"
    with case(SMALL).open() as memory, path.open("wb") as file:
        for start, view in memory.views(1 << 20, skip_zeros=True):
            file.seek(start)
            file.write(view.data)
        file.truncate(memory.end)
        file.seek(place)
        file.write(wanted.bytes)
    with open_image(path) as memory:
        kernel = Kernel(memory, locate(memory))
        assert boot_id(kernel) == (str(wanted) if known else None)
        assert [gap.why for gap in kernel.gaps] == ([] if known else ["no random UUID there"])


def test_without_the_symbol_it_is_a_gap(node_of: Callable[[str], RamSource]) -> None:
    real = node_of(SMALL).kernel
    kernel = Kernel(real.memory, real.anchors)
    kernel.symbols = Symbols.from_pairs([("_text", 1 << 63)], "none")
    assert boot_id(kernel) is None
    assert [(gap.kind, gap.why) for gap in kernel.gaps] == [("boot id", "symbol not known")]
    kernel.symbols = Symbols.from_pairs([("sysctl_bootid", 0xFFFF_F000_0000_0000)], "none")
    assert boot_id(kernel) is None
    assert [gap.why for gap in kernel.gaps] == ["symbol not known", "not readable"]
