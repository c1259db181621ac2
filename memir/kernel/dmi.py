# SPDX-License-Identifier: Apache-2.0
"""drivers/firmware/dmi_scan.c: what the firmware says of the machine, as /sys/class/dmi/id shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_LIMIT = 64  # SMBIOS strings are longer only where nobody compares them


def identifiers(kernel: Kernel) -> dict[str, str]:
    """Texts of `static char *dmi_ident[DMI_STRING_MAX]` by the name of their place: product_uuid, board_asset_tag ...

    Places are those of enum dmi_field (include/linux/mod_devicetable.h), which BTF names. Empty where the kernel has no
    such symbol (arm64 without SMBIOS, or symbols of functions only): no gap, firmware need not say anything.
    """
    table = kernel.symbols.get("dmi_ident")
    fields = (kernel.types.enum("dmi_field") or {}) if table is not None else {}
    names = {value: name for name, value in fields.items() if 0 < value < 64 and name != "DMI_STRING_MAX"}
    if table is None or not names:
        return {}
    places = np.array(sorted(names), np.uint64)
    pointers, ok = kernel.try_pointers(places * np.uint64(8) + u64(table))
    texts = kernel.strings(np.where(ok, pointers, np.uint64(0)), _LIMIT)
    return {
        names[int(place)].removeprefix("DMI_").lower(): text.decode("ascii", "backslashreplace").strip()
        for place, text in zip(places.tolist(), texts, strict=True)
        if text
    }
