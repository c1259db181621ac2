# SPDX-License-Identifier: Apache-2.0
"""Lengths of arrays are those of each kernel's source (TAINT_FLAGS_COUNT in include/linux/panic.h)."""

from __future__ import annotations

import base64

import pytest

from memir.symbols.isf_lengths import TAINT_FLAGS_AT_LEAST, array_lengths
from memir.symbols.isf_source import of_kernel
from memir.symbols.isf_symbols import SYMBOL_TYPES
from memir.symbols.locate import locate
from tests.damage import PAGE, damaged, patched, zeroed
from tests.images import case

COUNTS = {"s-5.10-small-v1": 18, "s-6.1-small": 19, "s-7.2-small-la57": 20}


@pytest.mark.parametrize("name", COUNTS)
def test_taint_flags(name: str) -> None:
    memory = case(name).open()
    anchors = locate(memory)
    assert array_lengths(memory, anchors) == {"taint_flags": COUNTS[name]}
    symbol = of_kernel(anchors, memory).symbol("taint_flags")
    assert symbol is not None
    assert (symbol["type"]["count"], symbol["type"]["subtype"]["name"]) == (COUNTS[name], "taint_flag")
    without = of_kernel(anchors).symbol("taint_flags")
    assert without is not None
    assert without["type"]["count"] == TAINT_FLAGS_AT_LEAST


def test_an_array_that_cannot_be_read_has_no_length() -> None:
    memory = case("s-6.1-small").open()
    anchors = locate(memory)
    place = anchors.image_pa(anchors.symbols["taint_flags"])
    assert array_lengths(damaged(memory, zeroed([place // PAGE])), anchors) == {}
    torn = damaged(memory, patched(memory, {place + 3 * 5: b"\0"}))
    assert array_lengths(torn, anchors) == {}


DECIDED = {
    "taint_flags": "read from the array itself: entries have a form, and what follows it has no symbol",
    "idt_table": "the processor's: IDT_ENTRIES, 256 vectors",
    "registered_fb": "FB_MAX in include/uapi/linux/fb.h, 32 since 2.2",
    "__start___tracepoints_ptrs": "the next symbol is __stop___tracepoints_ptrs, which is its end",
    "kallsyms_markers": "the gap: the table is read by kallsyms_num_syms, never by its length",
    "kallsyms_names": "the gap: read by kallsyms_num_syms",
    "kallsyms_token_table": "the gap: read by kallsyms_token_index",
    "kallsyms_token_index": "the gap: 256 entries, and the index of a byte goes no further",
    "kallsyms_offsets": "the gap: read by kallsyms_num_syms",
    "kallsyms_seqs_of_names": "the gap: read by kallsyms_num_syms",
    "linux_banner": "the gap: text that NUL ends",
}
"""How the length of every array whose type the table of symbols carries was decided: BTF tells none."""


def test_every_array_was_decided() -> None:
    assert {name for name, kind in SYMBOL_TYPES.items() if kind.endswith("]")} == set(DECIDED)


def test_lengths_that_the_image_confirms() -> None:
    memory = case("s-6.1-small").open()
    anchors = locate(memory)
    source = of_kernel(anchors, memory)
    start, stop = (anchors.symbols[f"__{end}___tracepoints_ptrs"] for end in ("start", "stop"))
    for name, count in {"idt_table": 256, "__start___tracepoints_ptrs": (stop - start) // 4}.items():
        symbol = source.symbol(name)
        assert symbol is not None and symbol["type"]["count"] == count, name
    banner = source.symbol("linux_banner")
    assert banner is not None and base64.b64decode(banner["constant_data"]).startswith(b"Linux version 6.1.0")
