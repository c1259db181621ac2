# SPDX-License-Identifier: Apache-2.0
"""BPF objects: a node's by their ids; on each kernel one that was put there, with its map and its attachment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import bpf
from memir.kernel.cgroup_tree import cgroups
from memir.kernel.fdtable import open_files
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.kernel.hooked import IMAGES, changed, free_place, kinds, offset, word

NodeOf = Callable[[str], RamSource]
DEVICE, ARRAY = 15, 2  # BPF_PROG_TYPE_CGROUP_DEVICE, BPF_MAP_TYPE_ARRAY
ATTACHED = {"s-5.10-small-v1": ("device", 6), "s-6.1-small": ("device", 4), "s-7.2-small-la57": ("device", 4),
            "arm64-6.12-small-lpa2": ("device", 4)}  # fmt: skip
"""BPF_CGROUP_DEVICE in enum bpf_attach_type; CGROUP_DEVICE in that of cgroups."""


def test_objects_of_each_image(image: str, node_of: NodeOf) -> None:
    """node-6.1: 31 of systemd and runc for devices, 6 of systemd's firewall; the small images load none."""
    node = node_of(image)
    programs = bpf.objects(node.kernel, "program")
    types = Counter(bpf.types_of(node.kernel, "program", programs.address))
    assert types == ({"cgroup_device": 31, "cgroup_skb": 6} if image == "node-6.1" else {})
    assert bpf.own_ids(node.kernel, "program", programs.address).tolist() == programs.ident.tolist()
    assert programs.ident.tolist() == sorted(set(programs.ident.tolist()))
    assert len(bpf.objects(node.kernel, "map")) == len(bpf.objects(node.kernel, "link")) == 0
    known = "prog_idr" in node.kernel.symbols
    assert {kind for kind in kinds(node) if kind.startswith("BPF")} == (
        set() if known else {"BPF programs", "BPF maps", "BPF links"}
    )
    if image == "node-6.1":
        assert Counter(bpf.names(node.kernel, "program", programs.address)) == {
            "sd_devices": 16, "sd_fw_egress": 3, "sd_fw_ingress": 3, None: 15
        }  # fmt: skip


def planted(node: RamSource) -> RamSource:
    """One program (id 0: the only id that needs no tree), its map, attached to the first cgroup."""
    place, symbols = free_place(node), node.kernel.symbols
    aux, table, array, entry = place + 0x200, place + 0x800, place + 0xA00, place + 0xA40
    first = cgroups(node.kernel, node.processes.threads.task)
    top = int(first.cgroup[np.flatnonzero(first.hierarchy == 0)[0]])
    is_hlist = node.kernel.types.has("bpf_prog_list", "node.pprev")
    head = top + offset(node, "cgroup", "bpf.progs") + ATTACHED[name_of(node)][1] * (8 if is_hlist else 16)
    return changed(node, {
        place - 8: bytes(0xB08),
        place + offset(node, "bpf_prog", "type"): DEVICE.to_bytes(4, "little"),
        place + offset(node, "bpf_prog", "tag"): bytes(range(8)),
        place + offset(node, "bpf_prog", "aux"): word(aux),
        aux + offset(node, "bpf_prog_aux", "name"): b"steal_secrets\0",
        aux + offset(node, "bpf_prog_aux", "used_maps"): word(array),
        aux + offset(node, "bpf_prog_aux", "used_map_cnt"): (1).to_bytes(4, "little"),
        array: word(table),
        table + offset(node, "bpf_map", "map_type"): ARRAY.to_bytes(4, "little"),
        table + offset(node, "bpf_map", "id"): (7).to_bytes(4, "little"),
        entry + offset(node, "bpf_prog_list", "node"): word(0 if is_hlist else head),
        entry + offset(node, "bpf_prog_list", "prog"): word(place),
        head: word(entry),
        symbols["prog_idr"] + offset(node, "idr", "idr_rt.xa_head"): word(place),
    })  # fmt: skip


def name_of(node: RamSource) -> str:
    release = node.kernel.anchors.release
    return next(name for name in IMAGES if f"-{'.'.join(release.split('.')[:2])}-" in name)


@pytest.mark.parametrize("name", IMAGES)
def test_program_that_was_put_there(name: str, node_of: NodeOf) -> None:
    clean = node_of(name)
    node, place = planted(clean), free_place(clean)
    programs = bpf.objects(node.kernel, "program")
    assert (programs.address.tolist(), programs.ident.tolist()) == ([place], [0])
    assert bpf.auxiliary(node.kernel, programs.address).tolist() == [place + 0x200]
    assert bpf.names(node.kernel, "program", programs.address) == ["steal_secrets"]
    assert bpf.names(node.kernel, "link", programs.address) == [None]
    assert bpf.types_of(node.kernel, "program", programs.address) == ["cgroup_device"]
    assert bpf.tags(node.kernel, programs.address) == ["0001020304050607"]
    assert bpf.used_maps(node.kernel, programs.address) == [[7]]
    assert bpf.types_of(node.kernel, "map", u64(place + 0x800)) == ["array"]
    assert bpf.tied_programs(node.kernel, u64(0)) == [0]
    every = cgroups(node.kernel, node.processes.threads.task)
    unified = every.cgroup[every.hierarchy == 0]
    assert bpf.attached_to_cgroups(node.kernel, unified) == [(0, place, 0, ATTACHED[name][0])]
    assert bpf.attached_to_cgroups(clean.kernel, unified) == []


@pytest.mark.parametrize("name", IMAGES)
def test_id_that_is_not_its_own(name: str, node_of: NodeOf) -> None:
    """A word that leads to something else is no program."""
    clean = node_of(name)
    head = clean.kernel.symbols["prog_idr"] + offset(clean, "idr", "idr_rt.xa_head")
    torn = changed(planted(clean), {free_place(clean) + 0x200 + offset(clean, "bpf_prog_aux", "id"): b"\x05"})
    assert len(bpf.objects(torn.kernel, "program")) == 0 and head
    assert [(gap.kind, gap.why) for gap in torn.gaps] == [("BPF programs", "its own id is another")]


def test_open_files(image: str, node_of: NodeOf) -> None:
    """systemd alone has its programs open on node-6.1; runc closes those of containers."""
    node = node_of(image)
    task, _, file = open_files(node.kernel, node.file_tasks)
    rows = bpf.of_files(node.kernel, file)
    pids = {node.pid_of[int(node.file_tasks[task[row]])] for row, _, _ in rows}
    assert ({kind for _, kind, _ in rows}, pids) == (({"program"}, {1}) if image == "node-6.1" else (set(), set()))
    addresses = set(bpf.objects(node.kernel, "program").address.tolist())
    assert {address for _, _, address in rows} <= addresses
