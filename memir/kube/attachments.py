# SPDX-License-Identifier: Apache-2.0
"""Where BPF programs are attached, in words, and whose those places are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import bpf, bpf_net, bpf_trace
from memir.kernel.code_address import CodeMap
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct

if TYPE_CHECKING:
    from memir.kube.owner import Owner
    from memir.kube.ram import RamSource

_PACKETS = {"sched_cls", "sched_act"}
_NAMESPACES = {"flow_dissector", "sk_lookup"}
_EVENTS = {"kprobe", "tracepoint", "perf_event"}


def attachments(
    source: RamSource, programs: Mapping[int, str | None], links: Mapping[int, str | None], file: U64
) -> tuple[dict[int, set[str]], dict[int, set[Owner]]]:
    """By address of a program, or of a link: what it is attached to, and whose the cgroups among those are.

    programs, links: types by address, of all that have an id: nothing else is taken for one. file: struct files that
    are open somewhere. What no program is for is not looked through.
    """
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
    for link, words in _of_links(source, links):
        where[link].add(words)
        where[tied[link]].add(words)
    for program, words in _of_places(source, set(programs.values()), file):
        if program in programs:
            where[program].add(words)
    return where, owners


def _of_links(source: RamSource, links: Mapping[int, str | None]) -> Iterator[tuple[int, str]]:
    """(link, words) of those that say themselves what they tie."""
    kernel = source.kernel

    def of_type(name: str) -> U64:
        return np.array([link for link, kind in links.items() if kind == name], np.uint64)

    tracing, raw, many = (of_type(name) for name in ("tracing", "raw_tracepoint", "kprobe_multi"))
    program = np.array(bpf.tied_programs(kernel, tracing), np.uint64)
    yield from zip(tracing.tolist(), bpf_trace.trampoline_targets(kernel, program), strict=True)
    yield from zip(raw.tolist(), bpf_trace.raw_tracepoints(kernel, raw), strict=True)
    names_of = dict(zip(source.interfaces.device.tolist(), source.interfaces.name, strict=True))
    for kind, struct in (("xdp", "bpf_xdp_link"), ("tcx", "tcx_link")):
        own = of_type(kind)
        device, how = bpf_net.link_devices(kernel, own, struct)
        words = [f"{way} {names_of.get(each) or '?'}" for way, each in zip(how, device.tolist(), strict=True)]
        yield from zip(own.tolist(), words, strict=True)
    inum_of = dict(zip(*(column.tolist() for column in source.net_namespaces), strict=True))
    own = of_type("netns")
    net, how = bpf_net.link_namespaces(kernel, own)
    words = [f"netns {way} {inum_of.get(each) or '?'}" for way, each in zip(how, net.tolist(), strict=True)]
    yield from zip(own.tolist(), words, strict=True)
    for link in of_type("perf_event"):
        for _, event in bpf_trace.event_programs(kernel, bpf_trace.link_files(kernel, link.reshape(1))):
            yield int(link), event
    if len(many):
        code = CodeMap(kernel, source.modules)
        names = bpf_trace.many_functions(kernel, many, lambda address: code.find(address).text or f"{address:#x}")
        yield from zip(many.tolist(), names, strict=True)


def _of_places(source: RamSource, types: set[str | None], file: U64) -> Iterator[tuple[int, str]]:
    """(program, words) of what interfaces, network namespaces, sockets and open perf events have."""
    kernel, devices = source.kernel, source.interfaces
    for row, program in bpf_net.xdp_programs(kernel, devices.device):
        yield program, f"xdp {devices.name[row] or '?'}"
    if types & _PACKETS:
        for row, program, how in bpf_net.tc_programs(kernel, devices.device):
            yield program, f"{how} {devices.name[row] or '?'}"
    if types & _NAMESPACES:
        net, inum = source.net_namespaces
        for row, program, how in bpf_net.namespace_programs(kernel, net):
            yield program, f"netns {how} {int(inum[row])}"
    if "socket_filter" in types:
        rows = source.sockets.rows
        whole = np.flatnonzero(~rows.mini)
        for row, program in bpf_net.socket_programs(kernel, rows.sock[whole]):
            yield program, f"socket {int(rows.inode[whole[row]])}"
    if types & _EVENTS:
        yield from bpf_trace.event_programs(kernel, bpf_trace.event_files(kernel, distinct(file)))
