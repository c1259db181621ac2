# SPDX-License-Identifier: Apache-2.0
"""What the firmware says of a machine: QEMU's on x86-64, nothing on arm64 without SMBIOS."""

from __future__ import annotations

from memir.kernel.dmi import identifiers
from memir.kernel.engine import Kernel
from memir.symbols.locate import locate
from tests.images import case


def test_qemu() -> None:
    memory = case("s-6.1-small").open()
    found = identifiers(Kernel(memory, locate(memory)))
    assert (found["sys_vendor"], found["bios_vendor"], found["product_version"]) == ("QEMU", "SeaBIOS", "pc-i440fx-7.2")
    assert "product_uuid" not in found  # none was given
    assert all(found.values())


def test_no_firmware_tables() -> None:
    memory = case("arm64-6.12-small-lpa2").open()
    kernel = Kernel(memory, locate(memory))
    assert identifiers(kernel) == {}
    assert not [gap for gap in kernel.gaps if "dmi" in gap.kind]
