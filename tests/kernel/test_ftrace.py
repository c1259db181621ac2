# SPDX-License-Identifier: Apache-2.0
"""Functions that are traced: nobody on clean kernels; one who registers, with what it filters for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.ftrace import ftrace_hooks
from memir.kube.ram import RamSource
from tests.kernel.hooked import IMAGES, changed, code_of, free_place, kinds, offset, word

NodeOf = Callable[[str], RamSource]


def registered(node: RamSource, following: int | None = None) -> dict[int, bytes]:
    """A struct ftrace_ops whose function is do_exit, filtering for one function, first in the kernel's list."""
    symbols, ops = node.kernel.symbols, free_place(node)
    hashes, table, buckets, entry = ops + 0x200, ops + 0x240, ops + 0x300, ops + 0x400
    end = symbols["ftrace_list_end"] if following is None else following
    return {
        ops - 8: bytes(0x508),
        ops + offset(node, "ftrace_ops", "func"): word(symbols["do_exit"]),
        ops + offset(node, "ftrace_ops", "next"): word(end),
        ops + offset(node, "ftrace_ops", "func_hash"): word(hashes),
        hashes + offset(node, "ftrace_ops_hash", "filter_hash"): word(table),
        table + offset(node, "ftrace_hash", "size_bits"): word(1),
        table + offset(node, "ftrace_hash", "buckets"): word(buckets),
        table + offset(node, "ftrace_hash", "count"): word(1),
        buckets + 8: word(entry + offset(node, "ftrace_func_entry", "hlist")),
        entry + offset(node, "ftrace_func_entry", "ip"): word(symbols["schedule"] + 4),
        symbols["ftrace_ops_list"]: word(ops),
    }


@pytest.mark.parametrize("name", IMAGES)
def test_registered(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    assert ftrace_hooks(node.kernel, code_of(node)) == []
    hooked = changed(node, registered(node))
    (hook,) = ftrace_hooks(hooked.kernel, code_of(hooked))
    assert (hook.kind, hook.name, hook.target) == ("ftrace", "schedule", node.kernel.symbols["do_exit"])
    assert hook.address == free_place(node) and not kinds(hooked)
    counted = free_place(node) + 0x240 + offset(node, "ftrace_hash", "count")
    everything = registered(node) | {counted: word(0)}
    hooked = changed(node, everything)
    assert [hook.name for hook in ftrace_hooks(hooked.kernel, code_of(hooked))] == ["every function"]


@pytest.mark.parametrize("name", IMAGES)
def test_list_that_loops_or_is_cut(name: str, node_of: NodeOf) -> None:
    """The one that was met stays, and that there may be more is a gap."""
    node = node_of(name)
    for following, why in ((free_place(node), "list loops"), (0, "link not readable")):
        torn = changed(node, registered(node, following))
        assert [hook.name for hook in ftrace_hooks(torn.kernel, code_of(torn))] == ["schedule"]
        assert [(gap.kind, gap.why) for gap in torn.gaps] == [("ftrace", why)]
    torn = changed(node, {node.kernel.symbols["ftrace_ops_list"]: bytes(8)})
    assert ftrace_hooks(torn.kernel, code_of(torn)) == []
    assert [(gap.kind, gap.why) for gap in torn.gaps] == [("ftrace", "not readable")]
