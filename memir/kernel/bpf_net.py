# SPDX-License-Identifier: Apache-2.0
"""BPF programs of the network: at interfaces (XDP, tc, tcx, netkit), in network namespaces, at sockets.

include/net/tcx.h, net/sched/cls_bpf.c, drivers/net/netkit.c, include/linux/bpf-netns.h. Of tc, what lies at an
interface's way in and out (the qdiscs clsact and ingress); filters of other qdiscs are not read. Actions:
memir.kernel.tc_action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import chain, list_nodes
from memir.kernel.netdevice import private
from memir.kernel.netfilter import INET_POINTS
from memir.kernel.pagetable import U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_FAMILIES = {2: "ipv4", 10: "ipv6"}  # NFPROTO_IPV4, NFPROTO_IPV6
_FANOUT_EBPF = 7  # PACKET_FANOUT_EBPF
_MOST_FILTERS = 1 << 12  # at one interface's way in or out
# struct cls_bpf_head begins with a list, struct cls_bpf_prog with the program and its place in that list, on every
# kernel from 4.4 to 7.2; both types are of a module
_PROGRAM_BEFORE_LINK = np.uint64(8)


def xdp_programs(kernel: Kernel, device: U64) -> list[tuple[int, int]]:
    """(row of the device, address of the program) of what sees packets before the network stack does (XDP)."""
    if not kernel.types.has("net_device", "xdp_state"):  # 5.9: 7f0a838254bd
        return []
    number = kernel.types.member("net_device", "xdp_state").type.count
    size = kernel.types.size("bpf_xdp_entity")
    first = kernel.embedded(device, "net_device", "xdp_state")
    entity = (first[:, None] + np.arange(number, dtype=np.uint64)[None, :] * np.uint64(size)).ravel()
    program = kernel.pointer(entity, "bpf_xdp_entity", "prog")
    # a link holds the program itself (bpf_xdp_link.link is a bpf_link)
    link = kernel.pointer(entity, "bpf_xdp_entity", "link")
    if kernel.types.has("bpf_xdp_link", "link"):
        tied = kernel.pointer(kernel.embedded(link, "bpf_xdp_link", "link"), "bpf_link", "prog")
        program = np.where(program != 0, program, tied)
    return [(row // number, int(program[row])) for row in np.flatnonzero(program).tolist()]


def tc_programs(kernel: Kernel, device: U64) -> list[tuple[int, int, str]]:
    """(row of the device, address of the program, `tc ingress`, `tc egress`, `tcx ingress` or `tcx egress`)."""
    rows = []
    for way in ("ingress", "egress"):
        if kernel.types.has("net_device", f"tcx_{way}"):  # 6.6: e420bed02507
            entry = kernel.pointer(device, "net_device", f"tcx_{way}")
            rows += [(row, program, f"tcx {way}") for row, program in _several(kernel, entry)]
            bundle = kernel.pointer(entry, "bpf_mprog_entry", "parent")
            holder = np.where(bundle != 0, kernel.container(bundle, "tcx_entry", "bundle"), np.uint64(0))
            small = kernel.pointer(holder, "tcx_entry", "miniq")
        elif kernel.types.has("net_device", f"miniq_{way}"):
            small = kernel.pointer(device, "net_device", f"miniq_{way}")
        else:
            continue
        rows += [(row, program, f"tc {way}") for row, program in _filters(kernel, small)]
    return rows


def netkit_programs(kernel: Kernel, device: U64) -> list[tuple[int, int, str]]:
    """(row of the device, address of the program, `netkit primary` or `netkit peer`) of devices of the kind netkit."""
    if not len(device) or not kernel.types.has("netkit", "active"):
        return []
    own = private(kernel, device)
    first = kernel.read(own, "netkit", "primary") != 0
    entry = kernel.pointer(own, "netkit", "active")
    return [(row, program, f"netkit {'primary' if first[row] else 'peer'}") for row, program in _several(kernel, entry)]


def link_devices(kernel: Kernel, link: U64, struct: str) -> tuple[U64, list[str]]:
    """(struct net_device, `xdp`, `tcx ingress`, `netkit peer`) of links of bpf_xdp_link, tcx_link, netkit_link."""
    if not len(link) or not kernel.types.has(struct, "dev"):
        return np.zeros(len(link), np.uint64), ["?"] * len(link)
    own = kernel.container(link, struct, "link")
    device = kernel.pointer(own, struct, "dev")
    if struct == "bpf_xdp_link":
        return device, ["xdp"] * len(link)
    if kernel.types.has(struct, "location"):
        place = kernel.read(own, struct, "location")
    else:  # 6.17 (b725441f02c2): every link says it
        place = kernel.read(link, "bpf_link", "attach_type")
    ways = {value: name for name, value in (kernel.types.enum("bpf_attach_type") or {}).items()}
    return device, [ways.get(value, "?").removeprefix("BPF_").lower().replace("_", " ") for value in place.tolist()]


def link_namespaces(kernel: Kernel, link: U64) -> tuple[U64, list[str]]:
    """(struct net, `flow_dissector` or `sk_lookup`) of links of the type netns."""
    if not len(link) or not kernel.types.has("bpf_netns_link", "netns_type"):
        return np.zeros(len(link), np.uint64), ["?"] * len(link)
    own = kernel.container(link, "bpf_netns_link", "link")
    place = kernel.read(own, "bpf_netns_link", "netns_type").tolist()
    return kernel.pointer(own, "bpf_netns_link", "net"), [_namespace_words(kernel).get(value, "?") for value in place]


def _namespace_words(kernel: Kernel) -> dict[int, str]:
    named = kernel.types.enum("netns_bpf_attach_type") or {}
    return {value: name.removeprefix("NETNS_BPF_").lower() for name, value in named.items()}


def _several(kernel: Kernel, entry: U64) -> list[tuple[int, int]]:
    """(row, program) of struct bpf_mprog_entry, whose programs end with the first NULL."""
    number = kernel.types.member("bpf_mprog_entry", "fp_items").type.count
    size = np.uint64(kernel.types.size("bpf_mprog_fp"))
    some = np.flatnonzero(entry)
    first = kernel.embedded(entry[some], "bpf_mprog_entry", "fp_items")
    place = first[:, None] + np.arange(number, dtype=np.uint64)[None, :] * size
    program = kernel.pointer(place.ravel(), "bpf_mprog_fp", "prog").reshape(place.shape)
    used = np.logical_and.accumulate(program != 0, axis=1)
    row, column = np.nonzero(used)
    return list(zip(some[row].tolist(), program[row, column].tolist(), strict=True))


def _filters(kernel: Kernel, small: U64) -> list[tuple[int, int]]:
    """(row, program) of the BPF filters of struct mini_Qdisc."""
    first = kernel.pointer(small, "mini_Qdisc", "filter_list")
    row, proto = chain(kernel, first, kernel.types.offset("tcf_proto", "next"), "tc filters", _MOST_FILTERS)
    kind = kernel.strings(kernel.embedded(kernel.pointer(proto, "tcf_proto", "ops"), "tcf_proto_ops", "kind"), 16)
    own = np.flatnonzero([name == b"bpf" for name in kind])
    head = kernel.pointer(proto[own], "tcf_proto", "root")
    which, node = list_nodes(kernel, head, "tc filters", _MOST_FILTERS)
    program = kernel.pointers(node - _PROGRAM_BEFORE_LINK)
    return list(zip(row[own][which].tolist(), program.tolist(), strict=True))


def namespace_programs(kernel: Kernel, net: U64) -> list[tuple[int, int, str]]:
    """(row of the struct net, address of the program, `flow_dissector` or `sk_lookup`)."""
    if not kernel.types.has("net", "bpf.progs"):  # 5.8: b27f7bb590ba
        return []
    named = _namespace_words(kernel)
    rows = []
    for member, several in (("progs", False), ("links", True)):
        first = kernel.embedded(net, "net", f"bpf.{member}")
        number = kernel.types.member("net", f"bpf.{member}").type.count
        size = 16 if several else 8  # list_head, or a pointer
        heads = (first[:, None] + np.arange(number, dtype=np.uint64)[None, :] * np.uint64(size)).ravel()
        if several:
            which, node = list_nodes(kernel, heads, "BPF of network namespaces", _MOST_FILTERS)
            link = kernel.container(node, "bpf_netns_link", "node")
            program = kernel.pointer(kernel.embedded(link, "bpf_netns_link", "link"), "bpf_link", "prog")
        else:
            which, program = np.arange(len(heads)), kernel.pointers(heads)
        rows += [
            (row // number, address, named.get(row % number, str(row % number)))
            for row, address in zip(which.tolist(), program.tolist(), strict=True)
            if address
        ]
    return rows


def link_filters(kernel: Kernel, link: U64) -> tuple[U64, list[str]]:
    """(struct net, `netfilter ipv4 LOCAL_IN`) of links of the type netfilter (6.4: 84601d6ee68a)."""
    if not len(link) or not kernel.types.has("bpf_nf_link", "hook_ops"):
        return np.zeros(len(link), np.uint64), ["netfilter ?"] * len(link)
    own = kernel.container(link, "bpf_nf_link", "link")
    family = kernel.read(own, "bpf_nf_link", "hook_ops.pf").tolist()
    point = kernel.read(own, "bpf_nf_link", "hook_ops.hooknum").tolist()
    words = [
        f"netfilter {_FAMILIES.get(of, '?')} {INET_POINTS[place] if place < len(INET_POINTS) else '?'}"
        for of, place in zip(family, point, strict=True)
    ]
    return kernel.pointer(own, "bpf_nf_link", "net"), words


def fanout_programs(kernel: Kernel, sock: U64) -> list[tuple[int, int]]:
    """(row of the packet socket, address of the program) of what shares packets out among sockets (PACKET_FANOUT)."""
    if not len(sock) or not kernel.types.has("packet_sock", "fanout"):
        return []
    group = kernel.pointer(sock, "packet_sock", "fanout", gap=False)  # a packet_sock begins with its sock
    by_program = kernel.try_read(group, "packet_fanout", "type")[0] == _FANOUT_EBPF
    program = kernel.pointer(np.where(by_program, group, np.uint64(0)), "packet_fanout", "bpf_prog")
    return [(row, int(program[row])) for row in np.flatnonzero(program).tolist()]


def socket_programs(kernel: Kernel, sock: U64) -> list[tuple[int, int, str]]:
    """(row of the struct sock, address of the program, `socket` or `socket reuseport`) of filters that sockets have
    (SO_ATTACH_BPF), and of what chooses among those that share a port (SO_ATTACH_REUSEPORT_EBPF)."""
    filters = kernel.pointer(kernel.pointer(sock, "sock", "sk_filter", gap=False), "sk_filter", "prog", gap=False)
    shared = kernel.pointer(sock, "sock", "sk_reuseport_cb", gap=False)
    chooser = kernel.pointer(shared, "sock_reuseport", "prog", gap=False)
    return [
        (row, int(program[row]), how)
        for program, how in ((filters, "socket"), (chooser, "socket reuseport"))
        for row in np.flatnonzero(program).tolist()
    ]
