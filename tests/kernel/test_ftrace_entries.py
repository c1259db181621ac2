# SPDX-License-Identifier: Apache-2.0
"""Entries of functions: none changed on clean kernels; a jump in one of them; pages that are not the text's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.ftrace_entries import KIND, changed_entries, jump_target, records
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.kernel.hooked import IMAGES, X86, changed, code_of, free_place, kinds, word

NodeOf = Callable[[str], RamSource]


def entry(node: RamSource, name: str) -> int:
    """Where ftrace's instruction stands: behind endbr64 where the kernel was built with that."""
    start = node.kernel.symbols[name]
    raw, _ = node.kernel.read_bytes(u64(start), 4)
    return start + 4 * int(raw[0].tobytes() == b"\xf3\x0f\x1e\xfa")


def test_nothing_is_changed(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    assert changed_entries(node.kernel, code_of(node)) == []
    assert (KIND in kinds(node)) == ("ftrace_pages_start" not in node.kernel.symbols)


@pytest.mark.parametrize("name", X86)
@pytest.mark.parametrize("how", ["jmp", "movabs", "int3"])
def test_a_jump(name: str, how: str, node_of: NodeOf) -> None:
    node = node_of(name)
    place, target = entry(node, "__x64_sys_kill"), free_place(node)
    code = {
        "jmp": b"\xe9" + ((target - place - 5) & 0xFFFFFFFF).to_bytes(4, "little"),
        "movabs": b"\x48\xb8" + target.to_bytes(8, "little") + b"\xff\xe0",
        "int3": b"\xcc",
    }[how]
    hooked = changed(node, {place: code})
    (hook,) = changed_entries(hooked.kernel, code_of(hooked))
    assert (hook.kind, hook.name, hook.address) == ("text", "__x64_sys_kill", place)
    assert hook.target == (0 if how == "int3" else target)
    assert kinds(hooked) == set()


def test_a_branch_of_arm64(node_of: NodeOf) -> None:
    node = node_of(IMAGES[3])
    known = node.kernel.symbols["__arm64_sys_kill"]
    nop = bytes.fromhex("1f2003d5")
    raw, _ = node.kernel.read_bytes(u64(known), 16)
    place = known + raw[0].tobytes().index(nop)
    target = place - 0x1000
    branch = (0x14000000 | ((target - place) // 4 & 0x3FFFFFF)).to_bytes(4, "little")
    hooked = changed(node, {place: branch})
    (hook,) = changed_entries(hooked.kernel, code_of(hooked))
    assert (hook.address, hook.target) == (place, target)


def test_records(image: str, node_of: NodeOf) -> None:
    """Each entry once, thousands of them in the kernel's text, and none has a user: nothing is traced here."""
    kernel = node_of(image).kernel
    place, flags = records(kernel)
    if "ftrace_pages_start" not in kernel.symbols:
        assert not len(place)
        return
    text = (place >= kernel.symbols["_stext"]) & (place < kernel.symbols["_etext"])
    assert len(set(place.tolist())) == len(place) == len(flags) and text.sum() > 20_000
    assert not (flags & 0x7FFFFF).any()


def test_where_an_instruction_leads() -> None:
    assert jump_target(0x1000, b"\xe8\x10\0\0\0".ljust(16, b"\0")) == 0x1015
    assert jump_target(0x1000, b"\xe9\xfb\xff\xff\xff".ljust(16, b"\0")) == 0x1000
    assert jump_target(0x1000, b"\x90" * 16) == 0


def test_pages_that_hold_something_else(node_of: NodeOf) -> None:
    """A page of zeros was not captured, one of noise is no text: both are counted, and give no row."""
    node = node_of("s-6.1-small")
    page = node.kernel.symbols["__x64_sys_kill"] & ~0xFFF
    for content, why in ((bytes(4096), "entries of functions"), (bytes(range(1, 256)) * 17, "page of text that holds")):
        torn = changed(node, {page: content[:4096]})
        assert changed_entries(torn.kernel, code_of(torn)) == []
        (gap,) = [gap for gap in torn.gaps if gap.kind == KIND]
        assert why in gap.why and gap.count > 2


def test_a_page_of_zeros_is_no_change_up_to_its_last_bytes(node_of: NodeOf) -> None:
    """A page that was not captured ends within 16 bytes of an entry: those behind are another page's, and no zeros."""
    node, size = node_of("s-7.2-small-la57"), 5
    place = next(place for place in records(node.kernel)[0].tolist() if 4096 - 16 < place % 4096 <= 4096 - size)
    start = place // 4096 * 4096
    blank = changed(node, {start: bytes(4096)})
    assert changed_entries(blank.kernel, code_of(blank)) == [] and kinds(blank) == {KIND}


@pytest.mark.parametrize("name", IMAGES)
def test_a_record_that_leads_to_no_text_is_a_gap(name: str, node_of: NodeOf) -> None:
    """Damage of a record is no change of the text that it no longer names."""
    clean = node_of(name)
    if "ftrace_pages_start" not in clean.kernel.symbols:
        return
    page = clean.kernel.pointers(u64(clean.kernel.symbols["ftrace_pages_start"]))
    record = int(clean.kernel.pointer(page, "ftrace_page", "records")[0])
    place = record + 5 * clean.kernel.types.size("dyn_ftrace") + clean.kernel.types.offset("dyn_ftrace", "ip")
    torn = changed(clean, {place: word(clean.kernel.symbols["init_task"])})
    assert changed_entries(torn.kernel, code_of(torn)) == []
    assert [(gap.count, gap.why) for gap in torn.gaps if gap.kind == KIND] == [
        (1, "records of ftrace that lead to no text")
    ]
