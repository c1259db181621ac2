# SPDX-License-Identifier: Apache-2.0
"""Tables of system calls, as long as the kernel has calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from memir.kernel.code_address import Code
from memir.kernel.engine import Kernel
from memir.kernel.sys_call_table import dispatched_by_function, is_call, system_calls
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols
from tests.kernel.hooked import IMAGES, changed, code_of, kinds

NodeOf = Callable[[str], RamSource]


COUNTS = {
    "s-5.10-small-v1": {"sys_call_table": 441, "ia32_sys_call_table": 441},
    "s-6.1-small": {"sys_call_table": 451},
    "s-7.2-small-la57": {"sys_call_table": 472},
    "arm64-6.12-small-lpa2": {"sys_call_table": 463, "compat_sys_call_table": 463},
}


@pytest.mark.parametrize("name", IMAGES)
def test_every_entry(name: str, node_of: NodeOf) -> None:
    """As many as __NR_syscalls; read, write and kill are where the ABI has them."""
    node = node_of(name)
    code = code_of(node)
    hooks = system_calls(node.kernel, code)
    by_name = {hook.name: code.find(hook.target).symbol for hook in hooks}
    assert len(by_name) == len(hooks)
    counts: dict[str, int] = {}
    for hook in hooks:
        counts[hook.name.split("[")[0]] = counts.get(hook.name.split("[")[0], 0) + 1
    assert counts == COUNTS[name]
    prefix, read, kill = ("__arm64_sys_", 63, 129) if name.startswith("arm64") else ("__x64_sys_", 0, 62)
    assert by_name[f"sys_call_table[{read}]"] == f"{prefix}read"
    assert by_name[f"sys_call_table[{kill}]"] == f"{prefix}kill"
    assert dispatched_by_function(node.kernel) == (name in ("s-6.1-small", "s-7.2-small-la57"))


@pytest.mark.parametrize("name", IMAGES)
def test_a_symbol_file_does_not_name_all(name: str, node_of: NodeOf) -> None:
    """It has one address for each name, so that what follows a table may be nameless: the table ends with its calls."""
    kernel = node_of(name).kernel
    symbols = Symbols.from_pairs(kernel.symbols.items(), "ISF")
    assert len(symbols.addresses) < len(kernel.symbols.addresses)
    by_file = RamSource(Kernel(kernel.memory, replace(kernel.anchors, symbols=symbols)))
    hooks = system_calls(by_file.kernel, code_of(by_file))
    assert Counter(hook.name.split("[")[0] for hook in hooks) == COUNTS[name]
    assert kinds(by_file) == {"end of the system call table"}


@pytest.mark.parametrize("name", IMAGES)
def test_entry_of_zeros_is_a_gap(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    torn = changed(node, {node.kernel.symbols["sys_call_table"] + 8 * 5: bytes(8)})
    hooks = system_calls(torn.kernel, code_of(torn))
    assert "sys_call_table[5]" not in {hook.name for hook in hooks} and len(hooks) == sum(COUNTS[name].values()) - 1
    assert kinds(torn) == {"system call table"}


def test_what_a_system_call_is_named() -> None:
    for name in ("__x64_sys_read", "__arm64_sys_read", "__ia32_compat_sys_ioctl", "sys_ni_syscall"):
        assert is_call(Code("kernel", name, 0, 0, (name,)))
    assert is_call(Code("kernel", "a_name", 0, 0, ("a_name", "__x64_sys_read")))
    assert not is_call(Code("kernel", "do_exit", 0, 0, ("do_exit",)))
    assert not is_call(Code("kernel", "__x64_sys_read", 4, 0, ("__x64_sys_read",)))
