# SPDX-License-Identifier: Apache-2.0
"""include/linux/umh.h: programs that the kernel itself starts as root: for dumps of crashed processes, for modules.

Who can write one of these files of /proc/sys from a container has left it (CVE-2022-0492 and its like).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memir.kernel.code_address import Hook
from memir.kernel.engine import texts
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

VARIABLES = ("core_pattern", "modprobe_path")
_MAX_TEXT = 256  # KMOD_PATH_LEN; core_pattern has 128 bytes


def helper_paths(kernel: Kernel) -> list[Hook]:
    """core_pattern and modprobe_path as they are; one that is empty, or has no symbol, is a gap of its name."""
    hooks = []
    for name in VARIABLES:
        place = kernel.symbols.get(name)
        if place is None:
            kernel.gaps.add(name, "", f"no symbol `{name}`")
            continue
        (value,) = texts(kernel.strings(u64(place), _MAX_TEXT))
        if value:
            hooks.append(Hook(name, name, place, value=value))
        else:
            kernel.gaps.add(name, f"{place:#x}", "empty, or not readable")
    return hooks
