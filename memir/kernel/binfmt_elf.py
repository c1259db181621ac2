# SPDX-License-Identifier: Apache-2.0
"""fs/binfmt_elf.c: where a program's code was loaded, and whether it still is what its executable has there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import proc_fd
from memir.kernel.mm import exe_files
from memir.kernel.pagetable import U64
from memir.kernel.vma import VM_EXEC, Vmas

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

MAPPED, PART, NONE = "mapped", "part", "none"


@dataclass(frozen=True)
class ProgramCode:
    """One entry an mm. state: MAPPED, PART or NONE of the code is of the executable's file; None: not known. start:
    uint64[n], where the code begins (mm.start_code). mapping: uint64[n], struct address_space of the executable's file
    as its code is mapped, 0 where none is."""

    state: list[str | None]
    start: U64
    mapping: U64


def program_code(kernel: Kernel, mm: U64, every: Vmas) -> ProgramCode:
    """What lies where execve() put a program's code (start_code to end_code), against mm.exe_file.

    mm: mm_structs that every.owner counts. The file is told by its name's dentry, as the user has it: an overlay maps a
    layer's file. None where not all regions of an mm could be read, or the name of a file that one maps.
    """
    start = kernel.read(mm, "mm_struct", "start_code").astype(np.uint64)
    end = kernel.read(mm, "mm_struct", "end_code").astype(np.uint64)
    file, whole = exe_files(kernel, mm)
    program = np.where(whole, proc_fd.user_paths(kernel, file)[1], np.uint64(0))
    mapped = proc_fd.user_paths(kernel, every.file)[1]
    own = (mapped == program[every.owner]) & (program[every.owner] != 0)
    code = own & ((every.flags & np.uint64(VM_EXEC)) != 0)
    low = np.maximum(every.start, start[every.owner])
    high = np.minimum(every.end, end[every.owner])
    covered = np.zeros(len(mm), np.int64)
    np.add.at(covered, every.owner, np.where(own & (high > low), high - low, 0).astype(np.int64))
    any_code = np.bincount(every.owner[code], minlength=len(mm)) > 0
    count = np.bincount(every.owner, minlength=len(mm))
    # a damaged dentry leads to no inode: whether it is the program's is not known
    place = np.where(mapped != 0, mapped + np.uint64(kernel.types.offset("dentry", "d_inode")), np.uint64(0))
    inode, read = kernel.try_pointers(place)
    named = (mapped != 0) & read & kernel.space.is_kernel_pointer(inode)
    nameless = np.bincount(every.owner[(every.file != 0) & ~named], minlength=len(mm)) > 0
    known = (count > 0) & (count == kernel.read(mm, "mm_struct", "map_count"))
    known &= (program != 0) & (start > 0) & (start < end) & ~nameless
    every_byte = covered.astype(np.uint64) == end - start
    state = [
        None if not sure else NONE if not some else MAPPED if all_of_it else PART
        for sure, some, all_of_it in zip(known.tolist(), any_code.tolist(), every_byte.tolist(), strict=True)
    ]
    mapping = np.zeros(len(mm), np.uint64)
    mapping[every.owner[code][::-1]] = kernel.pointer(every.file[code], "file", "f_mapping", gap=False)[::-1]
    return ProgramCode(state, start, mapping)
