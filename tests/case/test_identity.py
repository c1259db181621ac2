# SPDX-License-Identifier: Apache-2.0
"""Which image is which."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from memir.case.identity import Identity, clock_text, difference, read_identity
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols
from tests.images import case

ONE = Identity("ab" * 20, "319dfc7f-4434-4631-aab0-0be42fea5ea2", ((0, 4096), (8192, 4096)), 1795471962272000001, None)


def test_a_second_capture_of_one_boot_is_another_image() -> None:
    second = replace(ONE, clock=ONE.clock + 1) if ONE.clock else ONE
    assert ONE.differs(second) == ("clock",)
    assert not ONE.same(second)
    assert difference(ONE, second) == "they differ in clock"
    assert ONE.same(replace(ONE)) and ONE.differs(ONE) == ()


def test_what_is_not_known_proves_nothing() -> None:
    bare = replace(ONE, clock=None)
    assert bare.differs(ONE) == () and not bare.same(ONE) and not bare.same(bare)
    assert difference(bare, ONE).startswith("neither clock nor SHA-256 is known of both")
    hashed = replace(bare, sha256="00" * 32)
    assert hashed.same(hashed)
    assert hashed.same(replace(ONE, sha256="00" * 32))
    assert not replace(ONE, sha256="00" * 32).same(replace(ONE, sha256="11" * 32))
    assert not replace(ONE, ranges=((0, 4096),)).same(ONE)


def test_words() -> None:
    assert ONE.words() == (
        "kernel abababababababab..., boot 319dfc7f-4434-4631-aab0-0be42fea5ea2, 8,192 bytes of RAM in 2 ranges, "
        "clock 2026-11-23T22:12:42.272000001Z"
    )
    bare = Identity(None, None, (), None, "cd" * 32)
    assert bare.words() == (
        "kernel build id not known, boot id not known, 0 bytes of RAM in 0 ranges, clock not known, "
        "SHA-256 cdcdcdcdcdcdcdcd..."
    )
    assert (clock_text(0), clock_text(1 << 63)) == ("1970-01-01T00:00:00.000000000Z", "2262-04-11T23:47:16.854775808Z")
    assert clock_text(10**30) == f"{10**30} ns"


def test_read_from_an_image(node_of: Callable[[str], RamSource]) -> None:
    kernel = node_of("s-6.1-small").kernel
    identity = read_identity(kernel)
    assert identity == Identity(
        "bb603a9147d3efe4744bf83c83eee397c591cc20", None, ((0, 192 << 20),), 1795471962272000000, None
    )
    assert read_identity(kernel, "ff" * 32).sha256 == "ff" * 32


def test_without_a_clock_the_file_is_hashed(
    node_of: Callable[[str], RamSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = node_of("s-6.1-small").kernel
    kernel = Kernel(real.memory, real.anchors)
    kernel.symbols = Symbols.from_pairs([("_text", 1 << 63)], "none")
    monkeypatch.setattr(kernel.types, "exists", lambda name: False)  # a kernel whose types lack the timekeeper
    identity = read_identity(kernel)
    assert identity.clock is None
    assert identity.sha256 == hashlib.sha256(case("s-6.1-small").image.read_bytes()).hexdigest()
    assert ("image clock", "type not known") in {(gap.kind, gap.why) for gap in kernel.gaps}
