# SPDX-License-Identifier: Apache-2.0
"""include/linux/bpf.h and bpf-cgroup.h: programs, maps and links by their ids, and what is attached to cgroups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import xarray
from memir.kernel.engine import texts
from memir.kernel.list import hlist_nodes, list_nodes, slots
from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import among
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KINDS = {"program": "prog_idr", "map": "map_idr", "link": "link_idr"}
_STRUCT = {"program": "bpf_prog", "map": "bpf_map", "link": "bpf_link"}
_MAX_MAPS = 1 << 10  # BPF_PROG used_maps: MAX_USED_MAPS is 64
_MAX_ATTACHED = 64  # BPF_CGROUP_MAX_PROGS


@dataclass(frozen=True)
class Objects:
    """BPF objects of one kind, by id. address: uint64[n]; ident: int64[n]."""

    address: U64
    ident: I64

    def __len__(self) -> int:
        return len(self.address)


def objects(kernel: Kernel, kind: str) -> Objects:
    """Every program, map or link that has an id; one whose own id is another is torn, and a gap."""
    nothing = Objects(np.zeros(0, np.uint64), np.zeros(0, np.int64))
    place = kernel.symbols.get(KINDS[kind])
    label = f"BPF {kind}s"
    if place is None:
        kernel.gaps.add(label, "", f"no symbol `{KINDS[kind]}`")
        return nothing
    head = kernel.pointer(u64(place), "idr", "idr_rt.xa_head")
    entries = xarray.entries(kernel, head, label)
    base = int(kernel.read(u64(place), "idr", "idr_base")[0])
    address, ident = entries.entry, entries.index.astype(np.int64) + base
    good = own_ids(kernel, kind, address) == ident
    kernel.count_unread(label, address, good, "its own id is another")
    return Objects(address[good], ident[good])


def own_ids(kernel: Kernel, kind: str, address: U64) -> I64:
    """The id that each object says it has, 0 where not readable."""
    if kind == "program":
        return kernel.try_read(auxiliary(kernel, address), "bpf_prog_aux", "id")[0].astype(np.int64)
    return kernel.try_read(address, _STRUCT[kind], "id")[0].astype(np.int64)


def auxiliary(kernel: Kernel, program: U64) -> U64:
    """struct bpf_prog_aux of programs."""
    return kernel.pointer(program, "bpf_prog", "aux")


def names(kernel: Kernel, kind: str, address: U64) -> list[str | None]:
    """Names of programs or maps, None where they have none; links have none."""
    if kind == "link":
        return [None] * len(address)
    struct = "bpf_prog_aux" if kind == "program" else "bpf_map"
    inside = auxiliary(kernel, address) if kind == "program" else address
    return [name or None for name in texts(kernel.strings(kernel.embedded(inside, struct, "name"), 16))]


def types_of(kernel: Kernel, kind: str, address: U64) -> list[str | None]:
    """Types by the kernel's own words, such as cgroup_device, hash, tracing; a number where it has none."""
    enum, prefix, struct, member = {
        "program": ("bpf_prog_type", "BPF_PROG_TYPE_", "bpf_prog", "type"),
        "map": ("bpf_map_type", "BPF_MAP_TYPE_", "bpf_map", "map_type"),
        "link": ("bpf_link_type", "BPF_LINK_TYPE_", "bpf_link", "type"),
    }[kind]
    known = kernel.types.enum(enum) or {}
    words = {value: name.removeprefix(prefix).lower() for name, value in reversed(known.items())}
    values, read = kernel.try_read(address, struct, member)
    return [words.get(value, str(value)) if fine else None for value, fine in zip(values.tolist(), read, strict=True)]


def tags(kernel: Kernel, program: U64) -> list[str]:
    """Tags of programs: 16 hex digits made of their instructions."""
    raw, _ = kernel.read_bytes(kernel.embedded(program, "bpf_prog", "tag"), 8, program)
    return [row.tobytes().hex() for row in raw]


def used_maps(kernel: Kernel, program: U64) -> list[list[int]]:
    """Ids of the maps that each program uses, sorted."""
    aux = auxiliary(kernel, program)
    array = kernel.pointer(aux, "bpf_prog_aux", "used_maps")
    count = np.where(array != 0, kernel.read(aux, "bpf_prog_aux", "used_map_cnt"), 0).astype(np.uint64)
    count = np.where(count <= _MAX_MAPS, count, np.uint64(0))
    entry = slots(kernel, array, count, 8, "BPF maps")
    ids = own_ids(kernel, "map", kernel.pointers(entry)).tolist()
    ends = np.cumsum(count).astype(np.int64).tolist()
    return [sorted(filter(None, ids[end - int(size) : end])) for end, size in zip(ends, count.tolist(), strict=True)]


def tied_programs(kernel: Kernel, link: U64) -> list[int]:
    """The program of each link, by address, 0 for none."""
    programs: list[int] = kernel.pointer(link, "bpf_link", "prog").tolist()
    return programs


def attached_to_cgroups(kernel: Kernel, cgroup: U64) -> list[tuple[int, int, int, str]]:
    """(row of the cgroup, program, link that ties it or 0, how: device, inet_ingress, ...) of what cgroups (v2) have.

    Program and link are addresses.
    """
    if not kernel.types.has("cgroup", "bpf.progs"):
        return []
    first = kernel.embedded(cgroup, "cgroup", "bpf.progs")
    # 6.0 (00442143a2ab): hlist; before, list_head
    is_hlist = kernel.types.has("bpf_prog_list", "node.pprev")
    size = 8 if is_hlist else 16
    number = kernel.types.member("cgroup", "bpf.progs").type.count
    heads = (first[:, None] + np.arange(number, dtype=np.uint64)[None, :] * np.uint64(size)).ravel()
    walk = hlist_nodes if is_hlist else list_nodes
    which, node = walk(kernel, heads, "BPF attachments", _MAX_ATTACHED)
    entry = kernel.container(node, "bpf_prog_list", "node")
    program = kernel.pointer(entry, "bpf_prog_list", "prog")
    link = kernel.pointer(entry, "bpf_prog_list", "link")
    by_link = kernel.pointer(kernel.embedded(link, "bpf_cgroup_link", "link"), "bpf_link", "prog")
    program = np.where(program != 0, program, by_link)
    words = _attach_words(kernel)
    return [
        (index // number, address, tie, words.get(index % number, str(index % number)))
        for index, address, tie in zip(which.tolist(), program.tolist(), link.tolist(), strict=True)
        if address
    ]


def _attach_words(kernel: Kernel) -> dict[int, str]:
    """Names of the points of a cgroup; 5.15 (6fc88c354f3a) gave them an enum of their own."""
    own = kernel.types.enum("cgroup_bpf_attach_type")
    named = own or kernel.types.enum("bpf_attach_type") or {}
    return {value: name.removeprefix("BPF_").removeprefix("CGROUP_").lower() for name, value in reversed(named.items())}


def of_files(kernel: Kernel, file: U64) -> list[tuple[int, str, int]]:
    """(row of the file, kind, address of the object) of open files that are BPF objects."""
    operations = kernel.pointer(file, "file", "f_op", gap=False)
    private = kernel.pointer(file, "file", "private_data", gap=False)
    rows: list[tuple[int, str, int]] = []
    for kind, symbols in {
        "program": ("bpf_prog_fops",), "map": ("bpf_map_fops",), "link": ("bpf_link_fops", "bpf_link_fops_poll")
    }.items():  # fmt: skip
        mine = among(operations, [kernel.symbols[name] for name in symbols if name in kernel.symbols])
        rows += [(row, kind, int(private[row])) for row in np.flatnonzero(mine).tolist()]
    return rows
