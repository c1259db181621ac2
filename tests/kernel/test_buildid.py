# SPDX-License-Identifier: Apache-2.0
"""The kernel's build id: by its variable, by its notes, and what lies."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from memir.kernel.buildid import build_id, gnu_build_id
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols

IDS = {
    "s-5.10-small-v1": "256b7d531349c3a14d7071d6679c1bde961fcd09",  # has no vmlinux_build_id: its notes tell
    "s-6.1-small": "bb603a9147d3efe4744bf83c83eee397c591cc20",
    "s-7.2-small-la57": "4bbce01e305eafdcfe5a7e808f0e347e013801e3",
    "arm64-6.12-small-lpa2": "eeee04226f5ac117aa7641dcc8b8bcb9fe36920a",
}


@pytest.mark.parametrize("name", sorted(IDS))
def test_what_the_image_says_is_what_vmcoreinfo_says(name: str, node_of: Callable[[str], RamSource]) -> None:
    real = node_of(name).kernel
    assert real.anchors.build_id == IDS[name]
    kernel = Kernel(real.memory, replace(real.anchors, build_id=None))
    assert build_id(kernel) == IDS[name]


def test_nothing_left_is_a_gap(node_of: Callable[[str], RamSource]) -> None:
    real = node_of("s-6.1-small").kernel
    kernel = Kernel(real.memory, replace(real.anchors, build_id=None))
    kernel.symbols = Symbols.from_pairs([("__start_notes", 4096), ("__stop_notes", 1 << 40)], "none")
    assert build_id(kernel) is None
    assert [(gap.kind, gap.why) for gap in kernel.gaps] == [("build id", "not readable")]


def note(name: bytes, kind: int, content: bytes) -> bytes:
    pad = b"\0" * (-len(name) % 4)
    return struct.pack("<III", len(name), len(content), kind) + name + pad + content + b"\0" * (-len(content) % 4)


def test_notes() -> None:
    xen, gnu = note(b"Xen\0", 3, b"linux"), note(b"GNU\0", 3, bytes(range(20)))
    assert gnu_build_id(xen + gnu) == bytes(range(20)).hex()
    assert gnu_build_id(xen) is None
    assert gnu_build_id(xen + gnu[:-4]) is None
    assert gnu_build_id(struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, 3) * 9) is None
    assert gnu_build_id(b"\0" * 11) is None
