# SPDX-License-Identifier: Apache-2.0
"""Places where the kernel calls code that is not its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.reference_text import read_reference
from memir.kube.ram import RamSource
from tests.findings.real import NODE, every, kind, of_source, on_the_node
from tests.images import ROOT
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


def test_text_that_differs_from_the_build(node_of: Callable[[str], RamSource]) -> None:
    clean = node_of("s-6.1-small")
    reference = read_reference(ROOT / "samples" / "s-6.1-small.vmlinuz", clean.kernel)
    place = reference.start + int(reference.judged.nonzero()[0][500])
    node = changed(clean, {place: b"\x06"})
    node.reference = reference
    (row,) = of_source(node, KIND)
    assert row["title"].startswith("text ") and row["title"].endswith(" differs from the kernel's build")
    assert (row["severity"], row["evidence"]) == ("critical", [{"table": "hooks", "key": f"address = {place}"}])


def test_not_there(image: str) -> None:
    assert [row["title"] for row in every(image) if row["kind"] == KIND] == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
