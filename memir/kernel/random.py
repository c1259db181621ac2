# SPDX-License-Identifier: Apache-2.0
"""drivers/char/random.c: the boot id, as /proc/sys/kernel/random/boot_id shows it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel


def boot_id(kernel: Kernel) -> str | None:
    """UUID of this boot with dashes; None and a gap where it cannot be read.

    `static u8 sysctl_bootid[UUID_SIZE]` is made when the file is first read (proc_do_uuid). Until then it is 16 zeros
    and the boot has no id: None, and no gap, since nothing is there that was not read.
    """
    address = kernel.symbols.get("sysctl_bootid")
    if address is None:
        kernel.gaps.add("boot id", "sysctl_bootid", "symbol not known")
        return None
    raw, ok = kernel.read_bytes(u64(address), 16)
    if not ok[0]:
        kernel.gaps.add("boot id", f"{address:#x}", "not readable")
        return None
    value = uuid.UUID(bytes=raw[0].tobytes())
    if value.int == 0:
        return None
    if value.version != 4:  # generate_random_uuid sets version and variant: other bytes are no boot id
        kernel.gaps.add("boot id", f"{address:#x}", "no random UUID there")
        return None
    return str(value)
