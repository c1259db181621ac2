# SPDX-License-Identifier: Apache-2.0
"""What takes in what is typed: n_tty and n_null, by their own functions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.tty_ldisc import line_disciplines
from memir.kube.ram import RamSource
from tests.kernel.hooked import IMAGES, changed, code_of, kinds, offset, word

NodeOf = Callable[[str], RamSource]


@pytest.mark.parametrize("name", IMAGES)
def test_registered_and_used(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    code, symbols = code_of(node), node.kernel.symbols
    hooks = {hook.name: hook for hook in line_disciplines(node.kernel, code)}
    assert {"n_tty receive_buf", "n_tty receive_buf2"} <= set(hooks) and "terminals" not in kinds(node)
    hook = hooks["n_tty receive_buf"]
    assert (hook.target, hook.kind) == (symbols["n_tty_receive_buf"], "terminal")
    assert hook.address == symbols["n_tty_ops"] + offset(node, "tty_ldisc_ops", "receive_buf")
    changed_node = changed(node, {hook.address: word(symbols["do_exit"])})
    after = {hook.name: hook.target for hook in line_disciplines(changed_node.kernel, code)}
    assert after["n_tty receive_buf"] == symbols["do_exit"]


@pytest.mark.parametrize("name", IMAGES)
def test_nothing_registered_is_a_gap(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    torn = changed(node, {node.kernel.symbols["tty_ldiscs"]: bytes(64 * 8)})
    line_disciplines(torn.kernel, code_of(torn))
    assert kinds(torn) == {"terminals"}
