# SPDX-License-Identifier: Apache-2.0
"""BPF programs whose place is a map: of sockets (net/core/sock_map.c), of programs (kernel/bpf/arraymap.c, devmap.c,
cpumap.c), and of functions that take the place of the kernel's own (kernel/bpf/bpf_struct_ops.c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.engine import texts
from memir.kernel.list import hlist_nodes, slots
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import among

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_NAME = 128
_MOST = 512  # functions of one struct
_OF_PROGRAMS = {
    "prog_array": ("bpf_array", "ptrs"), "devmap": ("bpf_dtab", "netdev_map"), "cpumap": ("bpf_cpu_map", "cpu_map"),
    "devmap_hash": ("bpf_dtab", "dev_index_head"),
}  # fmt: skip
"""Of each kind of map its struct, and the member that is, or leads to, its table."""
_ENTRIES = {"bpf_dtab": ("bpf_dtab_netdev", "xdp_prog"), "bpf_cpu_map": ("bpf_cpu_map_entry", "prog")}
_OF_SOCKETS = {"sockmap": "bpf_stab", "sockhash": "bpf_shtab"}
HOLD_PROGRAMS = {*_OF_SOCKETS, *_OF_PROGRAMS, "struct_ops"}
"""Types of maps that programs are in."""


def socket_map_programs(kernel: Kernel, address: U64, types: Sequence[str | None]) -> list[tuple[int, int, str]]:
    """(row of the map, address of the program, `sockmap msg_verdict`) of maps (address uint64[n]) of these types."""
    words = {"msg_parser": "msg_verdict", "skb_parser": "stream_parser"}
    if not kernel.types.has("sk_psock_progs", "stream_verdict"):  # 5.13 (a7ba4558e69a), which named it anew
        words["skb_verdict"] = "stream_verdict"
    rows = []
    for kind, struct in _OF_SOCKETS.items():
        own = np.flatnonzero([each == kind for each in types])
        if not len(own) or not kernel.types.has(struct, "progs"):
            continue
        place = kernel.embedded(kernel.container(address[own], struct, "map"), struct, "progs")
        for member in kernel.types.members("sk_psock_progs"):
            if member.endswith("_link"):  # the program's own, 6.10 (699c23f02c65)
                continue
            program = kernel.pointer(place, "sk_psock_progs", member)
            how = f"{kind} {words.get(member, member)}"
            rows += [(int(own[row]), int(program[row]), how) for row in np.flatnonzero(program).tolist()]
    return rows


def entry_programs(kernel: Kernel, address: U64, types: Sequence[str | None]) -> list[tuple[int, int, str]]:
    """(row of the map, address of the program, `prog_array`) of what maps of programs hold: of tail calls, and those
    that packets meet at the interface or processor that XDP sends them to (devmap, devmap_hash, cpumap)."""
    rows = []
    for kind, (struct, place) in _OF_PROGRAMS.items():
        own = np.flatnonzero([each == kind for each in types])
        if not len(own) or not kernel.types.has(struct, place):
            continue
        map_ = kernel.container(address[own], struct, "map")
        count = kernel.read(address[own], "bpf_map", "max_entries").astype(np.uint64)
        if kind == "devmap_hash":
            count = kernel.read(map_, struct, "n_buckets").astype(np.uint64)
        first = kernel.embedded(map_, struct, place) if kind == "prog_array" else kernel.pointer(map_, struct, place)
        slot = [slots(kernel, first[row : row + 1], count[row : row + 1], 8, "BPF maps") for row in range(len(own))]
        of, every = np.repeat(own, [len(each) for each in slot]), np.concatenate(slot)
        if kind == "devmap_hash":
            which, node = hlist_nodes(kernel, every, "BPF maps")
            entry, of = kernel.container(node, "bpf_dtab_netdev", "index_hlist"), of[which]
        else:
            entry = kernel.pointers(every)
        used = entry != 0
        of, program = of[used], entry[used]
        if kind != "prog_array":
            program = kernel.pointer(program, *_ENTRIES[struct])
        rows += [(row, each, kind) for row, each in zip(of.tolist(), program.tolist(), strict=True) if each]
    return rows


def linked_maps(kernel: Kernel, link: U64) -> U64:
    """The struct bpf_map of links of the type struct_ops (6.4: 68b04864ca42), 0 where not known."""
    if not len(link) or not kernel.types.has("bpf_struct_ops_link", "map"):
        return np.zeros(len(link), np.uint64)
    return kernel.pointer(kernel.container(link, "bpf_struct_ops_link", "link"), "bpf_struct_ops_link", "map")


def struct_ops(kernel: Kernel, address: U64) -> list[str]:
    """What maps of the type struct_ops stand in for: `tcp_congestion_ops`, `?` where not known."""
    return [name or "?" for name in texts(kernel.strings(_described(kernel, _own(kernel, address)), _NAME))]


def struct_ops_programs(kernel: Kernel, address: U64, linked: U64) -> list[tuple[int, int, str]]:
    """(row of the map, address of the program, `struct_ops tcp_congestion_ops.ssthresh`) of maps of that type.

    Of those that are in use: registered by themselves, or by a link (linked: the maps of such links).
    """
    if not len(address) or not kernel.types.has("bpf_struct_ops_map", "kvalue"):
        return []
    own = _own(kernel, address)
    state = kernel.first_member("bpf_struct_ops_map", "kvalue.common.state", "kvalue.state")
    number = kernel.types.enum("bpf_struct_ops_state") or {}
    now = kernel.read(own, "bpf_struct_ops_map", state)
    in_use: Bools = (now == number.get("BPF_STRUCT_OPS_STATE_INUSE", 1)) | (
        (now == number.get("BPF_STRUCT_OPS_STATE_READY", 3)) & among(address, linked)
    )
    names = struct_ops(kernel, address)
    rows = np.flatnonzero(in_use)
    place = [_programs(kernel, own[row : row + 1], names[row]) for row in rows.tolist()]
    of = np.repeat(rows, [len(each) for each in place])
    program = np.concatenate(place) if place else np.zeros(0, np.uint64)
    aux = kernel.pointer(program, "bpf_prog", "aux")
    functions = texts(kernel.strings(kernel.pointer(aux, "bpf_prog_aux", "attach_func_name"), _NAME))
    return [
        (row, each, f"struct_ops {names[row]}.{function or '?'}")
        for row, each, function in zip(of.tolist(), program.tolist(), functions, strict=True)
    ]


def _own(kernel: Kernel, address: U64) -> U64:
    return kernel.container(address, "bpf_struct_ops_map", "map")


def _described(kernel: Kernel, own: U64) -> U64:
    """Where the name of struct bpf_struct_ops lies."""
    if kernel.types.has("bpf_struct_ops_map", "st_ops_desc"):  # 6.9 (4c5763ed996a)
        described = kernel.pointer(own, "bpf_struct_ops_map", "st_ops_desc")
        operations = kernel.pointer(described, "bpf_struct_ops_desc", "st_ops")
    else:
        operations = kernel.pointer(own, "bpf_struct_ops_map", "st_ops")
    return kernel.pointer(operations, "bpf_struct_ops", "name")


def _programs(kernel: Kernel, own: U64, name: str) -> U64:
    """Programs of one map (array of one); name: of the struct, which has as many functions as members at the most."""
    types = kernel.types
    if types.has("bpf_struct_ops_map", "funcs_cnt"):  # 5.10 and 6.1 lack it, 6.12 has it
        count = kernel.read(own, "bpf_struct_ops_map", "funcs_cnt").astype(np.uint64)
    else:
        count = np.array([len(types.members(name)) if types.exists(name) else 0], np.uint64)
    if int(count[0]) > _MOST:
        kernel.gaps.add("BPF struct_ops", f"{int(own[0]):#x}", "absurd number of functions")
        return own[:0]
    if types.has("bpf_struct_ops_map", "links"):  # 5.19 (f7e0beaf39d3)
        first = kernel.pointer(own, "bpf_struct_ops_map", "links")
        link = kernel.pointers(slots(kernel, first, count, 8, "BPF struct_ops"))
        program = kernel.pointer(link[link != 0], "bpf_link", "prog")
    else:
        first = kernel.pointer(own, "bpf_struct_ops_map", "progs")
        program = kernel.pointers(slots(kernel, first, count, 8, "BPF struct_ops"))
    kept: U64 = program[program != 0]
    return kept
