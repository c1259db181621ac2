# SPDX-License-Identifier: Apache-2.0
"""Memory that is still the process's own: all of it where a machine stood still, what is left where it ran."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel.own_pages import foreign_words, own
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.injected import changed, mm_of, pages_of, pid_of, place
from tests.kernel.hooked import IMAGES

NodeOf = Callable[[str], RamSource]


def test_all_of_it_where_the_machine_stood_still(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    mm, _ = node.regions
    before = list(node.gaps)
    assert not foreign_words(node.kernel, mm).any()
    assert list(node.gaps) == before
    assert len(foreign_words(node.kernel, mm[:0])) == 0


@pytest.mark.parametrize("name", IMAGES)
def test_a_page_that_another_process_has_now(name: str, node_of: NodeOf) -> None:
    clean = node_of(name)
    kernel, mm = clean.kernel, u64(mm_of(clean, pid_of(clean, "secretd")))
    va = kernel.read(mm, "mm_struct", "arg_start").astype(np.uint64)
    here = place(clean, int(mm[0]), int(va[0]))
    other = pages_of(clean, pid_of(clean, "server"), code=False)[0]
    node = changed(clean, {here.entry_at: (here.entry - here.pa + other.pa).to_bytes(8, "little")})
    assert own(kernel, mm, va).tolist() == [True]
    assert own(node.kernel, mm, va).tolist() == [False]
    assert own(kernel, mm, u64(0x1000)).tolist() == [False]  # no region
    assert foreign_words(node.kernel, mm).tolist() == [True]
    lost = {gap.kind: gap.count for gap in node.gaps if gap.why.startswith("memory that may have become")}
    assert lost == {"args": 1, "environ": 1}
