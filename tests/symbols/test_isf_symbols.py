# SPDX-License-Identifier: Apache-2.0
"""The types of global variables: whether each is one that kernels have, and that volatility3 finds."""

from __future__ import annotations

import re

from memir.symbols import btf
from memir.symbols import btf_format as f
from memir.symbols.isf_symbols import SYMBOL_ALIASES, SYMBOL_TYPES
from tests.symbols.btf_real import arm64, kernel_btf, real

FORM = re.compile(r"(struct )?[a-z_0-9]+( [a-z]+)*( \*)*( \[\d*\])?")

# tk_data came with 6.13; a kernel can be built without the others.
NOT_EVERYWHERE = {"tk_data", "mod_tree_root", "fb_info", "ftrace_ops"}


def test_types_are_written_as_they_are_read() -> None:
    assert {name: text for name, text in SYMBOL_TYPES.items() if not FORM.fullmatch(text)} == {}
    assert SYMBOL_TYPES["init_task"] == "struct task_struct"
    assert SYMBOL_TYPES["prb"] == "struct printk_ringbuffer *"
    assert SYMBOL_TYPES["kallsyms_names"] == "unsigned char []"


def test_structs_are_those_of_a_real_kernel() -> None:
    blob = btf.parse(kernel_btf(next(case for case in real() if not arm64(case)))).blob
    named = {match[1] for text in SYMBOL_TYPES.values() if (match := re.match(r"struct (\w+)", text))}
    assert {name for name in named if blob.named(btf.STRUCTS, name) is None} <= NOT_EVERYWHERE
    plain = {re.sub(r"( \*)*( \[\d*\])?$", "", text) for text in SYMBOL_TYPES.values() if "struct " not in text}
    assert {name for name in plain if blob.named((f.INT, f.TYPEDEF), name) is None} <= {"tracepoint_ptr_t"}


def test_aliases_lead_to_symbols_with_types() -> None:
    assert SYMBOL_ALIASES == {"tk_core": "timekeeper_data"}
    assert SYMBOL_ALIASES.keys() <= SYMBOL_TYPES.keys()
