# SPDX-License-Identifier: Apache-2.0
"""Real images with their kernels located, kept for a while."""

from __future__ import annotations

import functools
from typing import Any

from memir.image.memory import PhysicalMemory
from memir.symbols.anchors import Anchors
from memir.symbols.locate import locate
from tests.images import case, small_records


@functools.lru_cache(maxsize=1)
def located(name: str) -> tuple[PhysicalMemory, Anchors]:
    memory = case(name).open()
    return memory, locate(memory)


def recorded_symbols(name: str) -> dict[str, int]:
    """What /proc/kallsyms of the node showed of some symbols; empty where the recording has none."""
    truth = case(name).truth
    if truth.suffix != ".txt":
        return {}
    record: dict[str, Any] = small_records(truth).get("sym", {})
    found = {symbol: int(value, 16) for symbol, value in record.items() if str(value).startswith("0x")}
    for key, line in record.items():
        if key.startswith("head") and key[4:].isdigit():
            address, _, symbol = line.split()
            found.setdefault(symbol, int(address, 16))
    return found


def recorded_system(name: str) -> dict[str, str]:
    truth = case(name).truth
    record: dict[str, Any] = small_records(truth).get("sys", {}) if truth.suffix == ".txt" else {}
    return {key: str(value) for key, value in record.items()}
