# SPDX-License-Identifier: Apache-2.0
"""BPF programs of the network, where a node's loader put them (tests/lab/small/attach.c), and a torn list."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import bpf, bpf_net
from memir.kernel.netdevice import private
from memir.kernel.pagetable import U64
from memir.kernel.sock import PACKET
from memir.kube.ram import RamSource
from tests.hunt.hunting import planted
from tests.kernel.hooked import IMAGES, changed, free_place, offset, word
from tests.kernel.recorded import node, records

NAME = "s-6.12-recorded"
NodeOf = Callable[[str], RamSource]


def names_of(programs: list[int]) -> list[str | None]:
    """Names of programs."""
    return bpf.names(node(NAME).kernel, "program", np.array(programs, np.uint64))


def links(kind: str) -> U64:
    """Links of a type."""
    kernel = node(NAME).kernel
    every = bpf.objects(kernel, "link").address
    return every[[each == kind for each in bpf.types_of(kernel, "link", every)]]


@pytest.mark.parametrize("name", IMAGES)
def test_a_program_of_an_interface_that_was_put_there(name: str, node_of: NodeOf) -> None:
    clean = node_of(name)
    device = clean.interfaces.device
    assert not bpf_net.xdp_programs(clean.kernel, device) and not bpf_net.tc_programs(clean.kernel, device)
    size = clean.kernel.types.size("bpf_xdp_entity")
    place = int(device[1]) + offset(clean, "net_device", "xdp_state") + size
    other = changed(clean, {place + offset(clean, "bpf_xdp_entity", "prog"): word(free_place(clean))})
    assert bpf_net.xdp_programs(other.kernel, device) == [(1, free_place(clean))]


def test_interfaces() -> None:
    kernel, devices = node(NAME).kernel, node(NAME).interfaces
    ((row, program),) = bpf_net.xdp_programs(kernel, devices.device)
    assert (devices.name[row], names_of([program])) == ("lo", ["memir_xdp"])
    rows = bpf_net.tc_programs(kernel, devices.device)
    assert {devices.name[row] for row, _, _ in rows} == {"eniaaaaaaaa-11"}
    assert sorted(zip([how for _, _, how in rows], names_of([program for _, program, _ in rows]), strict=True)) == [
        ("tc egress", "memir_tc_out"), ("tc ingress", "memir_tc_in"),
        ("tcx egress", "memir_tcx"), ("tcx ingress", "memir_tcx_old"),
    ]  # fmt: skip


def test_links_of_interfaces_and_namespaces() -> None:
    kernel, devices = node(NAME).kernel, node(NAME).interfaces
    names = dict(zip(devices.device.tolist(), devices.name, strict=True))
    for kind, struct, way, name in (("xdp", "bpf_xdp_link", "xdp", "lo"),
                                    ("tcx", "tcx_link", "tcx egress", "eniaaaaaaaa-11")):  # fmt: skip
        device, how = bpf_net.link_devices(kernel, links(kind), struct)
        assert ([names[each] for each in device.tolist()], how) == ([name], [way])
    net, how = bpf_net.link_namespaces(kernel, links("netns"))
    inum = dict(zip(*(column.tolist() for column in node(NAME).net_namespaces), strict=True))
    assert ([inum[each] for each in net.tolist()], how) == ([4026531840], ["sk_lookup"])
    assert bpf_net.link_devices(kernel, links("netns")[:0], "bpf_xdp_link")[1] == []
    assert bpf_net.link_namespaces(kernel, links("xdp")[:0])[1] == []


def test_namespaces_and_sockets() -> None:
    kernel = node(NAME).kernel
    net, inum = node(NAME).net_namespaces
    rows = bpf_net.namespace_programs(kernel, net)
    assert sorted((how, int(inum[row])) for row, _, how in rows) == [
        ("flow_dissector", 4026531840), ("sk_lookup", 4026531840)
    ]  # fmt: skip
    assert sorted(map(str, names_of([program for _, program, _ in rows]))) == ["memir_flow", "memir_lookup"]
    sockets = node(NAME).sockets.rows
    rows = bpf_net.socket_programs(kernel, sockets.sock)
    assert [(int(sockets.local_port[row]), how, *names_of([program])) for row, program, how in rows] == [
        (7999, "socket", "memir_socket"), (7998, "socket reuseport", "memir_reuse")
    ]  # fmt: skip


def test_fanout_of_packet_sockets() -> None:
    rows = node(NAME).sockets.rows
    packets = rows.sock[rows.family == PACKET]
    ((row, program),) = bpf_net.fanout_programs(node(NAME).kernel, packets)
    assert names_of([program]) == ["memir_fanout"]
    (told,) = [each["where"] for each in records(NAME, "TOLD", "attached") if each["name"] == "memir_fanout"]
    assert told == f"socket fanout {int(rows.inode[rows.family == PACKET][row])}"
    assert bpf_net.fanout_programs(node(NAME).kernel, packets[:0]) == []


def test_netkit() -> None:
    """Each end has its own program, and is the other's peer."""
    kernel, devices = node(NAME).kernel, node(NAME).interfaces
    own = np.flatnonzero([kind == "netkit" for kind in devices.kind])
    assert sorted(map(str, (devices.name[row] for row in own.tolist()))) == ["nk0", "nk1"]
    assert [devices.peer[row] for row in own.tolist()] == own[::-1].tolist()
    rows = bpf_net.netkit_programs(kernel, devices.device[own])
    assert sorted((devices.name[own[row]], how, *names_of([program])) for row, program, how in rows) == [
        ("nk0", "netkit primary", "memir_netkit"), ("nk1", "netkit peer", "memir_peer")
    ]  # fmt: skip
    assert private(kernel, devices.device[own]).tolist() == [
        int(each) + kernel.types.offset("net_device", "priv") for each in devices.device[own]
    ]
    assert bpf_net.netkit_programs(kernel, devices.device[:0]) == []


def test_links_of_netfilter() -> None:
    kernel = node(NAME).kernel
    net, words = bpf_net.link_filters(kernel, links("netfilter"))
    inum = dict(zip(*(column.tolist() for column in node(NAME).net_namespaces), strict=True))
    assert ([inum[each] for each in net.tolist()], words) == ([4026531840], ["netfilter ipv4 LOCAL_IN"])
    place = kernel.container(links("netfilter"), "bpf_nf_link", "link")
    where = int(kernel.space.physical(kernel.embedded(place, "bpf_nf_link", "hook_ops.hooknum"))[0][0])
    assert bpf_net.link_filters(planted(node(NAME), {where: b"\x63\0\0\0"}).kernel, links("netfilter"))[1] == [
        "netfilter ipv4 ?"
    ]
    assert bpf_net.link_filters(kernel, links("netfilter")[:0])[1] == []


def test_a_list_of_filters_that_leads_nowhere_is_a_gap() -> None:
    source = node(NAME)
    devices = source.interfaces
    rows = bpf_net.tc_programs(source.kernel, devices.device)
    device = devices.device[[row for row, _, how in rows if how == "tc ingress"]]
    entry = source.kernel.pointer(device, "net_device", "tcx_ingress")
    holder = source.kernel.container(
        source.kernel.pointer(entry, "bpf_mprog_entry", "parent"), "tcx_entry", "bundle"
    )
    small = source.kernel.pointer(holder, "tcx_entry", "miniq")
    place = int(source.kernel.space.physical(source.kernel.embedded(small, "mini_Qdisc", "filter_list"))[0][0])
    torn = planted(source, {place: word(0xFFFF_8000_0000_1000)})
    assert [how for _, _, how in bpf_net.tc_programs(torn.kernel, device)] == ["tcx ingress", "tcx egress", "tc egress"]
    assert [(gap.kind, gap.count) for gap in torn.gaps] == [("tc filters", 1), ("tcf_proto.ops", 1)]
