# SPDX-License-Identifier: Apache-2.0
"""BPF programs that maps hold, as a node's loader put them there (tests/lab/small/attach.c), and torn maps."""

from __future__ import annotations

import numpy as np

from memir.kernel import bpf, bpf_maps
from memir.kernel.pagetable import U64
from tests.hunt.hunting import planted
from tests.kernel.hooked import word
from tests.kernel.recorded import node, records

NAME = "s-6.12-recorded"


def maps() -> tuple[U64, list[str | None], list[int]]:
    """(address, type, id) of every map."""
    every = bpf.objects(node(NAME).kernel, "map")
    return every.address, bpf.types_of(node(NAME).kernel, "map", every.address), every.ident.tolist()


def links() -> U64:
    """Links of the type struct_ops."""
    kernel = node(NAME).kernel
    every = bpf.objects(kernel, "link").address
    return every[[kind == "struct_ops" for kind in bpf.types_of(kernel, "link", every)]]


def named(rows: list[tuple[int, int, str]]) -> list[tuple[str | None, str]]:
    """(name of the program, where it is)."""
    names = bpf.names(node(NAME).kernel, "program", np.array([program for _, program, _ in rows], np.uint64))
    return sorted(zip(names, (how for *_, how in rows), strict=True), key=str)


def told(word: str) -> list[tuple[str, str]]:
    """What the loader said."""
    records_of = records(NAME, "TOLD", "attached")
    return sorted((each["name"], each["where"]) for each in records_of if each["where"].startswith(word))


def test_maps_of_sockets() -> None:
    address, types, ident = maps()
    rows = bpf_maps.socket_map_programs(node(NAME).kernel, address, types)
    assert named([(row, program, f"{how} map {ident[row]}") for row, program, how in rows]) == [
        each for each in told("sock") if " map " in each[1]
    ]
    assert len(rows) == 4 and bpf_maps.socket_map_programs(node(NAME).kernel, address, ["hash"] * len(address)) == []


def test_maps_of_programs() -> None:
    """Of tail calls, and where XDP sends packets on; a slot that leads nowhere is no program."""
    kernel = node(NAME).kernel
    address, types, ident = maps()
    rows = bpf_maps.entry_programs(kernel, address, types)
    kinds = ("prog_array", "devmap", "devmap_hash", "cpumap")
    expected = [each for each in told("") if each[1].startswith(kinds)]
    assert named([(row, program, f"{how} map {ident[row]}") for row, program, how in rows]) == expected
    assert len(expected) == 4 and bpf_maps.entry_programs(kernel, address, ["array"] * len(address)) == []
    own = address[[kind == "devmap" for kind in types]]
    table = kernel.pointer(kernel.container(own, "bpf_dtab", "map"), "bpf_dtab", "netdev_map")
    places = kernel.space.physical(table + np.uint64(8) * np.arange(8, dtype=np.uint64))[0].tolist()
    torn = planted(node(NAME), {place: word(0xFFFF_8000_0000_1000) for place in places})
    assert {how for *_, how in bpf_maps.entry_programs(torn.kernel, address, types)} == {*kinds} - {"devmap"}
    assert [gap.count for gap in torn.gaps if gap.kind == "bpf_dtab_netdev.xdp_prog"] == [8]


def test_functions_in_the_place_of_the_kernels() -> None:
    """One map that is registered by itself, one by a link; without that link it is not."""
    kernel = node(NAME).kernel
    address, types, _ = maps()
    own = address[[kind == "struct_ops" for kind in types]]
    linked = bpf_maps.linked_maps(kernel, links())
    assert bpf_maps.struct_ops(kernel, own) == ["tcp_congestion_ops"] * 2 and set(linked.tolist()) < set(own.tolist())
    assert named(bpf_maps.struct_ops_programs(kernel, own, linked)) == told("struct_ops") and len(linked) == 1
    alone = bpf_maps.struct_ops_programs(kernel, own, linked[:0])
    assert {name for name, _ in named(alone)} == {"memir_ssthres", "memir_cong_av", "memir_undo_cw"}
    assert bpf_maps.struct_ops_programs(kernel, own[:0], linked) == []
    assert bpf_maps.linked_maps(kernel, links()[:0]).tolist() == []


def test_absurd_numbers_of_functions_are_a_gap() -> None:
    kernel = node(NAME).kernel
    address, types, _ = maps()
    own = address[[kind == "struct_ops" for kind in types]]
    place = kernel.embedded(kernel.container(own, "bpf_struct_ops_map", "map"), "bpf_struct_ops_map", "funcs_cnt")
    torn = planted(node(NAME), {int(at): b"\xff\xff\xff\x7f" for at in kernel.space.physical(place)[0]})
    assert bpf_maps.struct_ops_programs(torn.kernel, own, own) == []
    assert [(gap.why, gap.count) for gap in torn.gaps if gap.kind == "BPF struct_ops"] == [
        ("absurd number of functions", 2)
    ]
