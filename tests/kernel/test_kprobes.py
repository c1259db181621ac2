# SPDX-License-Identifier: Apache-2.0
"""Probes on instructions: none on clean kernels; a kprobe, a kretprobe and two on one address as they were set."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.kprobes import kprobe_hooks
from memir.kube.ram import RamSource
from tests.kernel.hooked import IMAGES, changed, code_of, free_place, kinds, offset, word

NodeOf = Callable[[str], RamSource]


def probe(node: RamSource, place: int, handler: int) -> dict[int, bytes]:
    """A struct kprobe on do_exit."""
    return {
        place - 8: bytes(0x188),
        place + offset(node, "kprobe", "addr"): word(node.kernel.symbols["do_exit"]),
        place + offset(node, "kprobe", "pre_handler"): word(handler),
    }


def linked(node: RamSource, place: int) -> dict[int, bytes]:
    return {node.kernel.symbols["kprobe_table"] + 8 * 5: word(place + offset(node, "kprobe", "hlist"))}


@pytest.mark.parametrize("name", IMAGES)
def test_probe(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    assert kprobe_hooks(node.kernel, code_of(node)) == []
    place, handler = free_place(node), node.kernel.symbols["schedule"]
    hooked = changed(node, probe(node, place, handler) | linked(node, place))
    (hook,) = kprobe_hooks(hooked.kernel, code_of(hooked))
    assert (hook.kind, hook.name, hook.target) == ("kprobe", "do_exit (pre_handler)", handler)
    assert hook.address == place + offset(node, "kprobe", "pre_handler") and not kinds(hooked)


@pytest.mark.parametrize("name", IMAGES)
def test_probe_of_a_return(name: str, node_of: NodeOf) -> None:
    """Its kprobe's own handler is the kernel's; whose it is says the kretprobe's."""
    node = node_of(name)
    place, symbols = free_place(node), node.kernel.symbols
    made = probe(node, place, symbols["pre_handler_kretprobe"]) | linked(node, place)
    made[place + offset(node, "kretprobe", "handler")] = word(symbols["schedule"])
    hooked = changed(node, made)
    assert [(hook.name, hook.target) for hook in kprobe_hooks(hooked.kernel, code_of(hooked))] == [
        ("do_exit (handler)", symbols["schedule"]), ("do_exit (pre_handler)", symbols["pre_handler_kretprobe"])
    ]  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_two_on_one_address(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    first, symbols = free_place(node), node.kernel.symbols
    second, link = first + 0x200, offset(node, "kprobe", "list")
    made = probe(node, first, symbols["aggr_pre_handler"]) | probe(node, second, symbols["schedule"])
    made |= {first + link: word(second + link), second + link: word(first + link)}
    hooked = changed(node, made | linked(node, first))
    targets = [hook.target for hook in kprobe_hooks(hooked.kernel, code_of(hooked))]
    assert targets == [symbols["aggr_pre_handler"], symbols["schedule"]]


@pytest.mark.parametrize("name", IMAGES)
def test_chain_that_loops(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    place = free_place(node)
    made = probe(node, place, node.kernel.symbols["schedule"]) | linked(node, place)
    node_at = place + offset(node, "kprobe", "hlist")
    torn = changed(node, made | {node_at: word(node_at)})
    assert {hook.name for hook in kprobe_hooks(torn.kernel, code_of(torn))} == {"do_exit (pre_handler)"}
    assert ("kprobes", "list loops") in {(gap.kind, gap.why) for gap in torn.gaps}
