# SPDX-License-Identifier: Apache-2.0
"""security/apparmor/include/label.h: the profiles that confine tasks, as /proc/PID/attr/current shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.engine import texts
from memir.kernel.pagetable import U64
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MODES = ("enforce", "complain", "kill", "unconfined", "prompt")
_MOST_MODULES = 32
_LIMIT = 4096


def security_modules(kernel: Kernel) -> list[str] | None:
    """Names of the security modules that this kernel runs, in their order; None where nothing names them."""
    named = kernel.symbols.get("lsm_names")
    if named is not None:
        text = texts(kernel.strings(kernel.pointers(u64(named)), _LIMIT))[0]
        if text is not None:
            return text.split(",")
    ids, count = kernel.symbols.get("lsm_idlist"), kernel.symbols.get("lsm_active_cnt")  # 6.8 (f3b8788cde61)
    if ids is None or count is None:
        return None
    number = int(kernel.pointers(u64(count))[0]) & 0xFFFF_FFFF
    if not 0 < number <= _MOST_MODULES:
        return None
    each = kernel.pointers(np.uint64(ids) + np.arange(number, dtype=np.uint64) * np.uint64(8))
    names = texts(kernel.strings(kernel.pointer(each, "lsm_id", "name", gap=False), 64))
    return [name for name in names if name is not None] if None not in names else None


def labels(kernel: Kernel, task: U64) -> list[str | None]:
    """The profile of each task, with its mode: `unconfined`, `cri-containerd.apparmor.d (enforce)`; None: not known.

    Where nothing says which module runs, that is a counted gap.
    """
    modules = security_modules(kernel)
    blob = kernel.symbols.get("apparmor_blob_sizes")
    if modules is None or "apparmor" not in modules or blob is None:
        why = "which security module runs is not known: a kernel without names of variables"
        kernel.gaps.add("security label", "tasks", why, len(task) if modules is None or blob is None else 0)
        return [None] * len(task)
    cred = kernel.pointer(task, "task_struct", "real_cred", gap=False)
    offset = kernel.pointers(u64(blob + kernel.types.offset("lsm_blob_sizes", "lbs_cred")))[0] & np.uint64(0xFFFF_FFFF)
    security = kernel.pointer(cred, "cred", "security", gap=False)
    label = kernel.pointers(np.where(security != 0, security + offset, np.uint64(0)))
    unique, back = np.unique(label, return_inverse=True)
    names = texts(kernel.strings(kernel.pointer(unique, "aa_label", "hname", gap=False), _LIMIT))
    modes = _modes(kernel, unique)
    told = [_text(name, mode) for name, mode in zip(names, modes, strict=True)]
    kernel.count_unread("security label", task, np.array([told[row] is not None for row in back], bool))
    return [told[row] for row in back]


def _modes(kernel: Kernel, label: U64) -> list[str | None]:
    """The mode of a label's one profile; None for a stack of several, or where it is not known."""
    if not kernel.types.has("aa_profile", "mode") or not kernel.types.has("aa_label", "vec"):
        return [None] * len(label)
    size = kernel.read(label, "aa_label", "size")
    first = kernel.pointers(kernel.embedded(label, "aa_label", "vec"))
    mode, ok = kernel.try_read(first, "aa_profile", "mode")
    rows = zip(size.tolist(), mode.tolist(), ok.tolist(), strict=True)
    return [_MODES[number] if good and many == 1 and 0 <= number < len(_MODES) else None for many, number, good in rows]


def _text(name: str | None, mode: str | None) -> str | None:
    """As aa_label_asxprint() puts it: the mode of what is unconfined by its name is left out."""
    if not name:
        return None
    return name if mode is None or name == "unconfined" else f"{name} ({mode})"
