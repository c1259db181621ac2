# SPDX-License-Identifier: Apache-2.0
"""security/selinux/ss/sidtab.h, policydb.h, mls.c: the contexts of tasks, as /proc/PID/attr/current shows them.

A task's credentials have a number (sid); the policy's table of sids says which context that is, in numbers again, whose
names the policy has. The layout is the same from 5.10 to 7.2 (6.19 renamed the struct of credentials).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.engine import texts
from memir.kernel.list import chain
from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import distinct
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_ROLES, _TYPES, _USERS, _LEVELS, _CATEGORIES = 2, 3, 4, 6, 7  # SYM_*, places in policydb.symtab
_KERNEL, _UNLABELED = 1, 3  # SECINITSID_*; before a policy is loaded, of _KERNEL alone a name is shown
_INNER = 9  # SIDTAB_INNER_SHIFT: 512 entries in a page
_MOST_LEVELS = 4
_MOST_NODES = 64  # of one set of categories: 384 of them in each
_NAME = 256
_LIMIT = 4096


def labels(kernel: Kernel, task: U64) -> list[str | None]:
    """`user:role:type:level` of each task, the level only of a policy that has some; None: not known, which is counted.

    `kernel` where no policy was loaded.
    """
    types = kernel.types
    blob, state = (kernel.symbols.get(f"selinux_{name}") for name in ("blob_sizes", "state"))
    if blob is None or state is None or not types.has("selinux_state", "policy"):  # 5.10 (02a52c5c8c3b)
        kernel.gaps.add("security label", "tasks", "the kernel's names of SELinux's variables are not known", len(task))
        return [None] * len(task)
    sid = _sids(kernel, task, blob)
    policy = kernel.pointer(u64(state), "selinux_state", "policy")
    if not policy[0]:
        told: dict[int, str | None] = {_KERNEL: "kernel"}
    else:
        unique = distinct(sid[sid > 0])
        told = dict(zip(unique.tolist(), _contexts(kernel, policy, unique), strict=True))
    shown = [told.get(number) for number in sid.tolist()]
    kernel.count_unread("security label", task, np.array([label is not None for label in shown], bool))
    return shown


def _sids(kernel: Kernel, task: U64, blob: int) -> I64:
    """The objective sid of each task, 0 where it could not be read."""
    struct = "cred_security_struct" if kernel.types.exists("cred_security_struct") else "task_security_struct"
    offset = kernel.pointers(u64(blob + kernel.types.offset("lsm_blob_sizes", "lbs_cred")))[0] & np.uint64(0xFFFF_FFFF)
    security = kernel.pointer(
        kernel.pointer(task, "task_struct", "real_cred", gap=False), "cred", "security", gap=False
    )
    own = np.where(security != 0, security + offset, np.uint64(0))
    value, ok = kernel.try_read(own, struct, "sid")
    return np.where(ok & (own != 0), value, 0).astype(np.int64)


def _contexts(kernel: Kernel, policy: U64, sid: I64) -> list[str | None]:
    """Contexts of these sids (each once)."""
    entry = _entries(kernel, kernel.pointer(policy, "selinux_policy", "sidtab"), sid)
    context = np.where(entry != 0, kernel.embedded(entry, "sidtab_entry", "context"), np.uint64(0))
    database = kernel.embedded(policy, "selinux_policy", "policydb")
    parts = [
        _names(kernel, database, table, kernel.read(context, "context", member).astype(np.int64))
        for table, member in ((_USERS, "user"), (_ROLES, "role"), (_TYPES, "type"))
    ]
    # one that this policy does not know is kept as the text that it came in
    length = kernel.read(context, "context", "len").astype(np.int64)
    raw = texts(kernel.strings(np.where(length > 0, kernel.pointer(context, "context", "str"), np.uint64(0)), _LIMIT))
    ranged = bool(kernel.read(database, "policydb", "mls_enabled")[0])
    level = _ranges(kernel, database, context) if ranged else [""] * len(context)
    return [
        raw[row] if length[row] > 0 else None if not context[row] or None in names or level[row] is None
        else ":".join(str(name) for name in names) + str(level[row])
        for row, names in enumerate(zip(*parts, strict=True))
    ]  # fmt: skip


def _entries(kernel: Kernel, table: U64, sid: I64) -> U64:
    """struct sidtab_entry of each sid: the kernel's initial ones lie in an array, others in a tree of pages."""
    types = kernel.types
    initial = types.member("sidtab", "isids").type.count
    leaf = types.member("sidtab_node_leaf", "entries").type.count
    index = np.maximum(sid - initial - 1, 0)
    level = np.zeros(len(sid), np.int64)
    for deeper in range(1, _MOST_LEVELS):
        level[index + 1 > leaf << (_INNER * (deeper - 1))] = deeper
    place = kernel.embedded(table, "sidtab", "roots") + level.astype(np.uint64) * np.uint64(8)
    within = index // leaf
    node = kernel.pointers(place)
    for deeper in range(_MOST_LEVELS - 1, 0, -1):
        shift = _INNER * (deeper - 1)
        inner = level >= deeper
        child = node + ((within >> shift) & ((1 << _INNER) - 1)).astype(np.uint64) * np.uint64(8)
        node = np.where(inner, kernel.pointers(np.where(inner & (node != 0), child, np.uint64(0))), node)
    inside = node + (index % leaf).astype(np.uint64) * np.uint64(types.size("sidtab_entry"))
    inside = np.where((sid > initial) & (node != 0), inside, np.uint64(0))
    number, ok = kernel.try_read(inside, "sidtab_entry", "sid")
    inside = np.where(ok & (number.astype(np.int64) == sid), inside, np.uint64(0))  # each entry knows its own sid
    return np.where(sid <= initial, _initial(kernel, table, np.where(sid <= initial, sid, 1)), inside)


def _initial(kernel: Kernel, table: U64, sid: I64) -> U64:
    """Entries of initial sids. What the policy does not name is unlabelled.

    6.8 (ae254858ce07): processes from before the policy have one, which is the kernel's where the policy says nothing;
    such an entry has the context, and not its own sid.
    """
    step = np.uint64(kernel.types.size("sidtab_isid_entry"))
    place = kernel.embedded(table, "sidtab", "isids") + (sid - 1).astype(np.uint64) * step
    is_set = kernel.read(place, "sidtab_isid_entry", "set").astype(np.int64) != 0
    unlabelled = kernel.embedded(table, "sidtab", "isids") + np.uint64(_UNLABELED - 1) * step
    return kernel.embedded(np.where(is_set, place, unlabelled), "sidtab_isid_entry", "entry")


def _names(kernel: Kernel, database: U64, table: int, value: I64) -> list[str | None]:
    """Names of values (from 1) of one symbol table of the policy."""
    many = int(kernel.read(_symtab(kernel, database, table), "symtab", "nprim")[0])
    names = kernel.pointers(kernel.embedded(database, "policydb", "sym_val_to_name") + np.uint64(8 * table))
    good = (value > 0) & (value <= many) & (names[0] != 0)
    place = np.where(good, names + (np.maximum(value, 1) - 1).astype(np.uint64) * np.uint64(8), np.uint64(0))
    return [name or None for name in texts(kernel.strings(kernel.pointers(place), _NAME))]


def _symtab(kernel: Kernel, database: U64, table: int) -> U64:
    return kernel.embedded(database, "policydb", "symtab") + np.uint64(table * kernel.types.size("symtab"))


def _ranges(kernel: Kernel, database: U64, context: U64) -> list[str | None]:
    """`:low-high` of each context, `:low` where both are the same; None where a name is not known."""
    first = np.where(context != 0, kernel.embedded(context, "context", "range"), np.uint64(0))
    size = np.uint64(kernel.types.size("mls_level"))
    low, high = (_levels(kernel, database, np.where(first != 0, first + size * np.uint64(side), np.uint64(0)))
                 for side in (0, 1))  # fmt: skip
    return [
        None if below is None or above is None else f":{below}" if below == above else f":{below}-{above}"
        for below, above in zip(low, high, strict=True)
    ]


def _levels(kernel: Kernel, database: U64, level: U64) -> list[str | None]:
    names = _names(kernel, database, _LEVELS, kernel.read(level, "mls_level", "sens").astype(np.int64))
    node = kernel.pointer(level, "mls_level", "cat.node", gap=False)
    owner, each = chain(kernel, node, kernel.types.offset("ebitmap_node", "next"), "categories", _MOST_NODES)
    maps = kernel.types.member("ebitmap_node", "maps")
    raw, ok = kernel.read_bytes(kernel.embedded(each, "ebitmap_node", "maps"), maps.type.size)
    start = kernel.read(each, "ebitmap_node", "startbit").astype(np.int64)
    kernel.count_unread("categories", each, ok)
    sets: list[list[int]] = [[] for _ in level]
    for row, bits, begin, fine in zip(owner.tolist(), raw, start.tolist(), ok.tolist(), strict=True):
        if fine:
            sets[row] += (np.flatnonzero(np.unpackbits(bits, bitorder="little")) + begin).tolist()
    every = sorted({number for numbers in sets for number in numbers})
    named = dict(zip(every, _names(kernel, database, _CATEGORIES, np.array(every, np.int64) + 1), strict=True))
    return [None if name is None else name + _categories(sorted(numbers), named)
            for name, numbers in zip(names, sets, strict=True)]  # fmt: skip


def _categories(numbers: list[int], named: dict[int, str | None]) -> str:
    """`:c0.c3,c7`: three or more in a row as their first and last (mls_sid_to_context)."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words = []
    for run in runs:
        first, last = (named.get(number) or f"?{number}" for number in (run[0], run[-1]))
        words.append(first if len(run) == 1 else f"{first}{',' if len(run) == 2 else '.'}{last}")
    return ":" + ",".join(words) if words else ""
