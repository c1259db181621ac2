# SPDX-License-Identifier: Apache-2.0
"""Where BPF programs are attached, in words, and whose those places are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import bpf, bpf_maps, bpf_net, bpf_trace, tc_action
from memir.kernel.code_address import CodeMap
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct
from memir.kernel.sock import PACKET

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.kube.owner import Owner
    from memir.kube.ram import RamSource

_PACKETS = {"sched_cls", "sched_act"}
_NAMESPACES = {"flow_dissector", "sk_lookup"}
_SOCKETS = {"socket_filter", "sk_reuseport"}
_EVENTS = {"kprobe", "tracepoint", "perf_event"}


def attachments(
    source: RamSource, objects: Mapping[str, bpf.Objects], types: Mapping[str, Sequence[str | None]], file: U64
) -> tuple[dict[int, set[str]], dict[int, set[Owner]]]:
    """By address of a program, or of a link: what it is attached to, and whose those of these places are that have an
    owner: cgroups, sockets, network namespaces of pods and their interfaces, at either end.

    objects, types: by kind (bpf.KINDS), of all that have an id: nothing else is taken for one. file: struct files that
    are open somewhere. What no program is for is not looked through.
    """
    programs, links = (
        dict(zip(objects[kind].address.tolist(), types[kind], strict=True)) for kind in ("program", "link")
    )
    net = _Net(source)
    where: dict[int, set[str]] = defaultdict(set)
    owners: dict[int, set[Owner]] = defaultdict(set)
    every = source.cgroup_tree
    unified = np.flatnonzero(every.hierarchy == 0)  # those of v1 have none, and their lists are not even set up
    for row, program, link, how in bpf.attached_to_cgroups(source.kernel, every.cgroup[unified]):
        path = every.path[int(unified[row])]
        for address in (program, link) if link else (program,):
            where[address].add(f"cgroup {how} {path or '?'}")
            if path is not None:
                owners[address].add(source.owners.cgroup(path))
    tied = dict(zip(links, bpf.tied_programs(source.kernel, np.fromiter(links, np.uint64, len(links))), strict=True))
    for link, words, whose in _of_links(source, net, links):
        for address in filter(None, (link, tied[link])):
            where[address].add(words)
            owners[address].update(whose)
    for program, words in _of_maps(source.kernel, objects["map"], types["map"], links):
        if program in programs or program in links:
            where[program].add(words)
    for program, words, whose in _of_places(source, net, set(programs.values()), file):
        if program in programs:
            where[program].add(words)
            owners[program].update(whose)
    return where, owners


class _Net:
    """Interfaces and network namespaces in words, and the pods that they are of."""

    def __init__(self, source: RamSource) -> None:
        self._source, every = source, source.interfaces
        net, inum = source.net_namespaces
        self._space, self._name = inum[every.net].tolist(), every.name
        self._peer = every.peer.tolist()
        self.inums = dict(zip(net.tolist(), inum.tolist(), strict=True))
        self.rows = {device: row for row, device in enumerate(every.device.tolist())}
        self._host = source.membership.host.get("net", 0)

    def interface(self, row: int | None) -> tuple[str, tuple[Owner, ...]]:
        """`eth0`, `eth0 in netns 4026532201` where that is not the node's. A veth of the node is its pod's too."""
        if row is None:
            return "?", ()
        space, peer = self._space[row], self._peer[row]
        name = self._name[row] or "?"
        own = self.owners(space) or (self.owners(self._space[peer]) if peer >= 0 else ())
        return self.within(name, space), own

    def within(self, words: str, inum: int | None) -> str:
        """With the namespace, where it is not the node's."""
        return words if inum == self._host else f"{words} in netns {inum or '?'}"

    def owners(self, inum: int | None) -> tuple[Owner, ...]:
        """The pod that has a network namespace; none of the node's, which every pod with hostNetwork has."""
        uid = self._source.membership.net_of.get(inum or 0) if inum != self._host else None
        return () if uid is None else (self._source.owners.pod(uid),)


def _of_links(
    source: RamSource, net: _Net, links: Mapping[int, str | None]
) -> Iterator[tuple[int, str, tuple[Owner, ...]]]:
    """(link, words, owners) of those that say themselves what they tie."""
    if not links:
        return
    kernel = source.kernel

    def of_type(name: str) -> U64:
        return np.array([link for link, kind in links.items() if kind == name], np.uint64)

    tracing, raw, many = (of_type(name) for name in ("tracing", "raw_tracepoint", "kprobe_multi"))
    places, lists = of_type("uprobe_multi"), of_type("iter")
    for kind, struct in (("xdp", "bpf_xdp_link"), ("tcx", "tcx_link"), ("netkit", "netkit_link")):
        own = of_type(kind)
        device, how = bpf_net.link_devices(kernel, own, struct)
        for link, way, each in zip(own.tolist(), how, device.tolist(), strict=True):
            name, whose = net.interface(net.rows.get(each))
            yield link, f"{way} {name}", whose
    own = of_type("netns")
    space, how = bpf_net.link_namespaces(kernel, own)
    for link, way, each in zip(own.tolist(), how, space.tolist(), strict=True):
        yield link, f"netns {way} {net.inums.get(each) or '?'}", net.owners(net.inums.get(each))
    own = of_type("netfilter")
    space, how = bpf_net.link_filters(kernel, own)
    for link, way, each in zip(own.tolist(), how, space.tolist(), strict=True):
        yield link, net.within(way, net.inums.get(each)), net.owners(net.inums.get(each))
    program = np.array(bpf.tied_programs(kernel, tracing), np.uint64)
    words = [*bpf_trace.trampoline_targets(kernel, program), *bpf_trace.raw_tracepoints(kernel, raw)]
    if len(many):
        code = CodeMap(kernel, source.modules)
        words += bpf_trace.many_functions(kernel, many, lambda address: code.find(address).text or f"{address:#x}")
    words += [*bpf_trace.many_places(kernel, places), *bpf_trace.iterators(kernel, lists)]
    every = [*tracing.tolist(), *raw.tolist(), *many.tolist(), *places.tolist(), *lists.tolist()]
    of_code = zip(every, words, strict=True)
    yield from ((link, function, ()) for link, function in of_code)
    for link in of_type("perf_event"):
        for _, event in bpf_trace.event_programs(kernel, bpf_trace.link_files(kernel, link.reshape(1))):
            yield int(link), event, ()


def _of_maps(
    kernel: Kernel, maps: bpf.Objects, types: Sequence[str | None], links: Mapping[int, str | None]
) -> Iterator[tuple[int, str]]:
    """(program or link, words) of what maps hold: of sockets, and of functions in the place of the kernel's own."""
    if not bpf_maps.HOLD_PROGRAMS.intersection(types):
        return
    of_sockets = {
        program: f"{how} map {int(maps.ident[row])}"
        for row, program, how in bpf_maps.socket_map_programs(kernel, maps.address, types)
    }
    yield from of_sockets.items()
    for row, program, how in bpf_maps.entry_programs(kernel, maps.address, types):
        yield program, f"{how} map {int(maps.ident[row])}"
    tying = np.array([link for link, kind in links.items() if kind == "sockmap"], np.uint64)
    for link, program in zip(tying.tolist(), bpf.tied_programs(kernel, tying), strict=True):
        yield link, of_sockets.get(program, "sockmap ?")
    own = maps.address[[kind == "struct_ops" for kind in types]]
    registered = np.array([link for link, kind in links.items() if kind == "struct_ops"], np.uint64)
    linked = bpf_maps.linked_maps(kernel, registered)
    for _, program, how in bpf_maps.struct_ops_programs(kernel, own, linked):
        yield program, how
    names = dict(zip(own.tolist(), bpf_maps.struct_ops(kernel, own), strict=True))
    for link, each in zip(registered.tolist(), linked.tolist(), strict=True):
        yield link, f"struct_ops {names.get(each, '?')}"


def _of_places(
    source: RamSource, net: _Net, types: set[str | None], file: U64
) -> Iterator[tuple[int, str, tuple[Owner, ...]]]:
    """(program, words, owners) of what interfaces, network namespaces, sockets and open perf events have."""
    kernel, devices = source.kernel, source.interfaces
    at_devices = [(row, program, "xdp") for row, program in bpf_net.xdp_programs(kernel, devices.device)]
    if types & _PACKETS:
        at_devices += bpf_net.tc_programs(kernel, devices.device)
        kits = np.flatnonzero([kind == "netkit" for kind in devices.kind])
        own = bpf_net.netkit_programs(kernel, devices.device[kits])
        at_devices += [(int(kits[row]), program, how) for row, program, how in own]
    for row, program, how in at_devices:
        name, whose = net.interface(row)
        yield program, f"{how} {name}", whose
    space, inum = source.net_namespaces
    if "sched_act" in types:
        for row, program, number in tc_action.action_programs(kernel, space):
            yield program, net.within(f"tc action {number}", int(inum[row])), net.owners(int(inum[row]))
    if types & _NAMESPACES:
        for row, program, how in bpf_net.namespace_programs(kernel, space):
            yield program, f"netns {how} {int(inum[row])}", net.owners(int(inum[row]))
    if types & _SOCKETS:
        rows = source.sockets.rows
        whole = np.flatnonzero(~rows.mini)
        for row, program, how in bpf_net.socket_programs(kernel, rows.sock[whole]):
            yield program, f"{how} {int(rows.inode[whole[row]])}", source.socket_owners[whole[row]]
        packets = whole[rows.family[whole] == PACKET]
        for row, program in bpf_net.fanout_programs(kernel, rows.sock[packets]):
            yield program, f"socket fanout {int(rows.inode[packets[row]])}", source.socket_owners[packets[row]]
    if types & _EVENTS:
        for program, event in bpf_trace.event_programs(kernel, bpf_trace.event_files(kernel, distinct(file))):
            yield program, event, ()
