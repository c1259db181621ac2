# SPDX-License-Identifier: Apache-2.0
"""A BPF program that is an action of tc, as a node's loader made it (tests/lab/small/attach.c)."""

from __future__ import annotations

import numpy as np
import pytest

from memir.kernel import bpf, tc_action
from memir.kernel.engine import Kernel
from memir.kernel.pagetable import U64
from memir.kernel.tc_action import KIND, action_programs
from memir.kernel.xarray import Entries, entries
from tests.hunt.hunting import planted
from tests.kernel.hooked import word
from tests.kernel.recorded import node

NAME = "s-6.12-recorded"


def test_an_action() -> None:
    source = node(NAME)
    net, inum = source.net_namespaces
    ((row, program, number),) = action_programs(source.kernel, net)
    assert (int(inum[row]), number) == (4026531840, 1)
    assert bpf.names(source.kernel, "program", np.array([program], np.uint64)) == ["memir_action"]


def test_a_list_of_kinds_that_leads_nowhere_is_a_gap() -> None:
    source = node(NAME)
    head = np.array([source.kernel.symbols["act_base"]], np.uint64)
    place = int(source.kernel.space.physical(head)[0][0])
    torn = planted(source, {place: word(0xFFFF_8000_0000_1000)})
    assert action_programs(torn.kernel, source.net_namespaces[0]) == []
    assert {gap.kind for gap in torn.gaps} >= {KIND}


def test_an_action_of_another_table_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a number leads to has to say in which table it is."""
    source = node(NAME)
    kernel, net = source.kernel, source.net_namespaces[0]
    found: list[U64] = []

    def noted(kernel: Kernel, heads: U64, kind: str) -> Entries:
        every = entries(kernel, heads, kind)
        found.append(every.entry)
        return every

    monkeypatch.setattr(tc_action, "entries", noted)
    assert len(action_programs(kernel, net)) == 1
    ((place,),) = [kernel.space.physical(kernel.embedded(each, "tc_action", "idrinfo"))[0].tolist() for each in found]
    assert action_programs(planted(source, {place: word(0)}).kernel, net) == []
