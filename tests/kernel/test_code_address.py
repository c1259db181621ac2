# SPDX-License-Identifier: Apache-2.0
"""Where addresses lie: in the kernel at a symbol, in a module at one of its own, or nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.code_address import Code, CodeMap
from memir.kernel.module_kallsyms import by_address
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.kernel.hooked import IMAGES, changed, code_of, offset

NodeOf = Callable[[str], RamSource]


def test_kernel_text(image: str, node_of: NodeOf) -> None:
    """At a function, inside one, in code of start-up, in data, in user memory."""
    node = node_of(image)
    code, symbols = code_of(node), node.kernel.symbols
    place = symbols["do_exit"]
    assert code.known
    assert code.find(place) == Code("kernel", "do_exit", 0, 0)
    inside = code.find(place + 9)
    assert (inside.symbol, inside.distance, inside.start, inside.text) == ("do_exit", 9, False, "do_exit+0x9")
    assert code.find(symbols["_einittext"] - 1).area == "init"
    assert code.find(node.kernel.anchors.init_task) == code.find(0x400000) == Code("elsewhere")
    assert code.next_symbol(place) > place and code.next_symbol(2**64 - 1) == 0


def test_functions_of_modules(image: str, node_of: NodeOf) -> None:
    """Each module's functions lie in its own text, by the names of its own table."""
    node = node_of(image)
    code = code_of(node)
    assert code.modules_known
    for module in node.modules.module.tolist():
        names = by_address(node.kernel, module)
        name = node.kernel.strings(node.kernel.embedded(u64(module), "module", "name"), 64)[0]
        wanted = {b"overlay": "ovl_fill_super", b"veth": "veth_xmit"}.get(name or b"")
        if wanted is None:
            continue
        ((address, symbol),) = [pair for pair in names.items() if pair[1] == wanted]
        assert code.find(address) == Code("module", symbol, 0, module)
        assert code.find(address + 4).text in (None, names.get(address + 4))


@pytest.mark.parametrize("name", IMAGES)
def test_absurd_number_of_symbols(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    module = node.modules.module[:1]
    table = int(node.kernel.pointer(module, "module", "kallsyms")[0])
    torn = changed(node, {table + offset(node, "mod_kallsyms", "num_symtab"): b"\xff" * 4})
    assert by_address(torn.kernel, int(module[0])) == {}
    assert [(gap.kind, gap.why) for gap in torn.gaps] == [("module symbols", "more than 262144 symbols")]


@pytest.mark.parametrize("name", IMAGES)
def test_modules_that_are_not_all_known(name: str, node_of: NodeOf) -> None:
    """A list that ends early: code in no module that is known may be of another."""
    node = node_of(name)
    torn = changed(node, {node.kernel.symbols["modules"]: bytes(8)})
    assert not CodeMap(torn.kernel, torn.modules).modules_known
