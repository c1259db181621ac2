# SPDX-License-Identifier: Apache-2.0
"""BPF programs that watch the kernel, where a node's loader put them (tests/lab/small/attach.c), and torn links."""

from __future__ import annotations

import numpy as np

from memir.kernel import bpf, bpf_trace
from memir.kernel.fdtable import open_files
from memir.kernel.pagetable import U64
from tests.hunt.hunting import planted
from tests.kernel.hooked import word
from tests.kernel.recorded import node, records

NAME = "s-6.12-recorded"
(PLACE,) = (
    record["where"].split(" ")[1] for record in records(NAME, "TOLD", "attached") if record["name"] == "memir_uprobe"
)
"""The file and the offset in it, as the loader gave them."""


def links(kind: str) -> U64:
    """Links of a type."""
    kernel = node(NAME).kernel
    every = bpf.objects(kernel, "link").address
    return every[[each == kind for each in bpf.types_of(kernel, "link", every)]]


def test_perf_events() -> None:
    """By the files that are open, and by the link that holds one of them."""
    kernel = node(NAME).kernel
    _, _, file = open_files(kernel, node(NAME).file_tasks)
    events = bpf_trace.event_files(kernel, file)
    told = bpf_trace.event_programs(kernel, events)
    names = bpf.names(kernel, "program", np.array([program for program, _ in told], np.uint64))
    assert dict(zip(names, [words for _, words in told], strict=True)) == {
        "memir_kprobe": "kprobe vfs_unlink", "memir_uprobe": f"uprobe {PLACE}",
        "memir_point": "tracepoint sched_process_exec", "memir_call": "tracepoint sys_enter_umount",
        "memir_clock": "perf_event cpu_clock",
    }  # fmt: skip
    held = bpf_trace.link_files(kernel, links("perf_event"))
    assert [words for _, words in bpf_trace.event_programs(kernel, held)] == ["tracepoint sched_process_exec"]
    assert set(held.tolist()) <= set(events.tolist()) and len(bpf_trace.link_files(kernel, held[:0])) == 0


def test_links() -> None:
    kernel = node(NAME).kernel
    program = np.array(bpf.tied_programs(kernel, links("tracing")), np.uint64)
    assert bpf_trace.trampoline_targets(kernel, program) == ["fentry vfs_unlink"]
    assert bpf_trace.raw_tracepoints(kernel, links("raw_tracepoint")) == ["raw_tracepoint sched_process_fork"]
    many = links("kprobe_multi")
    names = {kernel.symbols[name]: name for name in ("vfs_mkdir", "vfs_unlink")}
    assert bpf_trace.many_functions(kernel, many, names.__getitem__) == ["kprobe_multi vfs_mkdir, vfs_unlink"]
    assert bpf_trace.many_functions(kernel, many[:0], hex) == []


def test_a_uprobe_whose_event_is_torn() -> None:
    """No file's name is made up."""
    source = node(NAME)
    kernel = source.kernel
    events = bpf_trace.event_files(kernel, open_files(kernel, source.file_tasks)[2])
    call = kernel.pointer(kernel.pointer(events, "file", "private_data"), "perf_event", "tp_event")
    event = kernel.container(call[call != 0], "trace_probe_event", "call")
    probes = kernel.embedded(event, "trace_probe_event", "probes")
    for value in (0, 0xFFFF_8000_0000_1000):
        places = kernel.space.physical(probes)[0].tolist()
        torn = planted(source, {place: word(value) for place in places}).kernel
        assert {words for _, words in bpf_trace.event_programs(torn, events) if words.startswith("uprobe")} == {
            "uprobe ?+0x0"
        }


def test_links_of_many_places_and_of_lists() -> None:
    kernel = node(NAME).kernel
    assert bpf_trace.many_places(kernel, links("uprobe_multi")) == [f"uprobe_multi {PLACE}"]
    assert bpf_trace.iterators(kernel, links("iter")) == ["iter task"]
    assert bpf_trace.many_places(kernel, links("iter")[:0]) == bpf_trace.iterators(kernel, links("iter")[:0]) == []
    own = kernel.container(links("uprobe_multi"), "bpf_uprobe_multi_link", "link")
    place = int(kernel.space.physical(kernel.embedded(own, "bpf_uprobe_multi_link", "cnt"))[0][0])
    torn = planted(node(NAME), {place: b"\xff\xff\xff\xff"})
    assert bpf_trace.many_places(torn.kernel, links("uprobe_multi")) == [f"uprobe_multi {PLACE.partition('+')[0]}+?"]
    assert [gap.why for gap in torn.gaps if gap.kind == "BPF links"] == ["absurd number of places"]


def test_a_link_of_absurdly_many_functions_is_a_gap() -> None:
    source = node(NAME)
    own = source.kernel.container(links("kprobe_multi"), "bpf_kprobe_multi_link", "link")
    place = int(source.kernel.space.physical(source.kernel.embedded(own, "bpf_kprobe_multi_link", "cnt"))[0][0])
    other = planted(source, {place: b"\xff\xff\xff\xff"})
    assert bpf_trace.many_functions(other.kernel, links("kprobe_multi"), hex) == ["kprobe_multi ?"]
    assert [gap.why for gap in other.gaps if gap.kind == "BPF links"] == ["absurd number of functions"]


def test_dispatcher_of_xdp() -> None:
    """Its function jumps into the image that the kernel keeps, while it has a program; 5.10's own: tests/agreement."""
    source = node(NAME)
    kernel = source.kernel
    place, keeper = (kernel.symbols[word] for word in ("bpf_dispatcher_xdp_func", "bpf_dispatcher_xdp"))

    def target(name: str, address: int, **members: int) -> int:
        own = np.array([keeper], np.uint64)
        patches = {
            int(kernel.space.physical(kernel.embedded(own, "bpf_dispatcher", member))[0][0]): word(value)[:size]
            for (member, size), value in zip(
                (("func", 8), ("num_progs", 4), ("image", 8), ("image_off", 4)), members.values(), strict=True
            )
        }
        return bpf_trace.dispatcher_target(planted(source, patches).kernel, name, address)

    made = {"func": place, "count": 1, "image": 0xFFFF_FFFF_C000_0000, "offset": 0x800}
    assert target("bpf_dispatcher_xdp_func", place, **made) == 0xFFFF_FFFF_C000_0800
    assert target("bpf_dispatcher_xdp_func", place + 16, **made) == 0
    assert target("vfs_unlink", kernel.symbols["vfs_unlink"], **made) == 0
    assert target("bpf_dispatcher_xdp_func", place, **made | {"count": 0}) == 0
    assert target("bpf_dispatcher_xdp_func", place, **made | {"image": 0}) == 0
