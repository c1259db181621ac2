# SPDX-License-Identifier: Apache-2.0
"""The variables filename, filepath, extension and owner that rules may ask for, of each unit.

Of a file in the page cache and of a region that maps one: that file's. Of other memory of a process: its program's,
and the process's user. Of kernel memory and free pages: empty. A path is the one within the file's own file system;
owner is `root` or the number of a user.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from memir.hunt.memory import Memory
from memir.hunt.units import Unit
from memir.kernel.dcache import Dentries
from memir.kernel.engine import Kernel
from memir.kernel.list import hlist_nodes
from memir.kernel.pagetable import U64

NONE = {"filename": "", "filepath": "", "extension": "", "owner": ""}


def set_variables(memory: Memory, units: Sequence[Unit]) -> None:
    """Fill in `variables` of every unit."""
    kernel = memory.kernel
    program = mapping_of(kernel, kernel.pointer(memory.mm, "mm_struct", "exe_file", gap=False))
    users = _users(kernel, memory.mm)
    programs = program.tolist()
    wanted = {unit.mapping for unit in units} | set(programs)
    files = file_variables(kernel, np.array(sorted(wanted - {0}), np.uint64))
    for unit in units:
        mm = unit.mms[0] if unit.mms else None
        if unit.mapping or mm is None:
            unit.variables = files.get(unit.mapping, NONE)
        else:
            unit.variables = files.get(programs[mm], NONE) | {"owner": users[mm]}


def mapping_of(kernel: Kernel, file: U64) -> U64:
    """The struct address_space of each struct file, 0 for none."""
    return kernel.pointer(file, "file", "f_mapping", gap=False)


def file_variables(kernel: Kernel, mapping: U64) -> dict[int, dict[str, str]]:
    """Variables of files by struct address_space; of one without a name only the owner."""
    inode = kernel.pointer(mapping, "address_space", "host", gap=False)
    uid, known = kernel.try_read(inode, "inode", "i_uid.val")
    row, node = hlist_nodes(kernel, np.where(inode != 0, kernel.embedded(inode, "inode", "i_dentry"), 0), "file name")
    dentry = np.zeros(len(mapping), np.uint64)
    aliases = kernel.container(node, "dentry", kernel.first_member("dentry", "d_alias", "d_u.d_alias"))
    dentry[row[::-1]] = aliases[::-1]  # the first name of several
    names = Dentries(kernel)
    names.load(dentry)
    result: dict[int, dict[str, str]] = {}
    for place, entry, user, read in zip(mapping.tolist(), dentry.tolist(), uid.tolist(), known.tolist(), strict=True):
        raw = names.path(entry) if entry else None
        if raw == b"/":  # a memfd or other file without a place: its name is all there is
            raw = names.name(entry)
        path = PurePosixPath((raw or b"").decode("utf-8", "backslashreplace"))
        result[place] = {
            "filename": path.name,
            "filepath": str(path.parent) if path.name else "",
            "extension": path.suffix,
            "owner": _user(user) if read else "",
        }
    return result


def _users(kernel: Kernel, mm: U64) -> list[str]:
    """The user of each address space's process, by its main task (mm_struct.owner)."""
    if not kernel.types.has("mm_struct", "owner"):
        return [""] * len(mm)
    task = kernel.pointer(mm, "mm_struct", "owner", gap=False)
    cred = kernel.pointer(task, "task_struct", "real_cred", gap=False)
    uid: NDArray[np.uint32]
    uid, known = kernel.try_read(cred, "cred", "uid.val")
    return [_user(user) if read else "" for user, read in zip(uid.tolist(), known.tolist(), strict=True)]


def _user(uid: int) -> str:
    return "root" if uid == 0 else str(uid)
