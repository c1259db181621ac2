# SPDX-License-Identifier: Apache-2.0
"""Places where the kernel calls code that is not its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kube.ram import RamSource
from tests.findings.real import NODE, every, kind, of_source, on_the_node
from tests.kernel.hooked import IMAGES, changed, word

KIND = "kernel-hook"


@pytest.mark.parametrize("name", IMAGES)
def test_a_system_call_that_leads_into_data(name: str, node_of: Callable[[str], RamSource]) -> None:
    """Eight bytes of a real kernel's table changed, as a rootkit changes them."""
    node = node_of(name)
    place, target = node.kernel.symbols["sys_call_table"] + 8 * 62, node.kernel.symbols["init_task"]
    (row,) = of_source(changed(node, {place: word(target)}), KIND)
    assert (row["severity"], row["technique"], row["evidence"]) == (
        "critical", "T1014", [{"table": "hooks", "key": f"address = {place}"}],
    )  # fmt: skip
    assert row["title"].startswith("system call sys_call_table[62] leads to ")


def test_not_there(image: str) -> None:
    assert [row["title"] for row in every(image) if row["kind"] == KIND] == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
