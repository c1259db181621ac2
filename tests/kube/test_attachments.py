# SPDX-License-Identifier: Apache-2.0
"""Where programs and links are attached, in words; what has no id is not taken for a program. Against what the loader
said, on every recorded kernel: tests/tables/test_recorded_acts."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from memir.kernel import bpf, bpf_trace
from memir.kernel.fdtable import open_files
from memir.kube.attachments import attachments
from memir.kube.ram import RamSource
from memir.tables.table import tables
from tests.hunt.hunting import planted
from tests.kernel.recorded import node, records

NAME = "s-6.12-recorded"


def asked() -> dict[str, Any]:
    """Programs, maps and links with their types, and open files."""
    kernel = node(NAME).kernel
    every = {kind: bpf.objects(kernel, kind) for kind in bpf.KINDS}
    types = {kind: bpf.types_of(kernel, kind, objects.address) for kind, objects in every.items()}
    return {"objects": every, "types": types, "file": open_files(kernel, node(NAME).file_tasks)[2]}


def test_words_and_owners() -> None:
    where, owners = attachments(node(NAME), **asked())
    programs, links = (asked()["objects"][kind].address for kind in ("program", "link"))
    names = bpf.names(node(NAME).kernel, "program", programs)
    have = {name: sorted(where[place]) for name, place in zip(names, programs.tolist(), strict=True)}
    told = {record["name"]: [record["where"]] for record in records(NAME, "TOLD", "attached")}
    assert {name: have[name] for name in told} == told and set(have) - set(told) == {"memir_watch", "memir_link"}
    assert len(told) == 38 and {len(places) for places in have.values()} == {1}
    whose: dict[str, set[str | None]] = {}
    for place, every in owners.items():
        for word in where[place]:
            whose.setdefault(word.split(" ")[0], set()).update(owner.pod_name for owner in every)
    api, web = "api-58f6c9d7b4-q8xkz", "web-7d4b9c6f5-abcde"
    of_node: set[str | None] = {None}
    assert {word: pods for word, pods in whose.items() if pods} == {
        "cgroup": {api}, "tc": {web}, "tcx": {web}, "socket": of_node
    }  # fmt: skip
    assert {word.split(" ")[0] for link in links.tolist() for word in where[link]} == {
        "cgroup", "xdp", "tcx", "netns", "tracepoint", "raw_tracepoint", "fentry", "kprobe_multi", "netfilter",
        "uprobe_multi", "iter", "sockmap", "struct_ops", "netkit",
    }  # fmt: skip


def test_an_interface_inside_a_pod() -> None:
    """Each pod has an eth0: its namespace is told, and the pod is the owner; at the other end of its veth too."""
    every, inum = node(NAME).interfaces, node(NAME).net_namespaces[1]
    outer = every.name.index("eniaaaaaaaa-11")
    inner = int(every.peer[outer])
    kernel, space = node(NAME).kernel, int(inum[every.net[inner]])
    ends = kernel.embedded(every.device[[outer, inner]], "net_device", "tcx_ingress")
    place, _ = kernel.space.physical(ends)
    entry = int(kernel.pointers(ends[:1])[0]).to_bytes(8, "little")
    where, owners = attachments(planted(node(NAME), {int(place[1]): entry}), **asked())
    (both,) = [address for address, places in where.items() if "tcx ingress eniaaaaaaaa-11" in places]
    assert where[both] == {"tcx ingress eniaaaaaaaa-11", f"tcx ingress eth0 in netns {space}"}
    assert {owner.pod_name for owner in owners[both]} == {"web-7d4b9c6f5-abcde"}


def test_what_has_no_id_is_none() -> None:
    """A socket's classic filter and the like: places lead to programs that are not among those that were given."""
    every = asked()
    some, none = np.arange(1, 4), np.zeros(0, np.int64)
    every["objects"] |= {"program": bpf.Objects(some.astype(np.uint64), some),
                         "link": bpf.Objects(none.astype(np.uint64), none)}  # fmt: skip
    every["types"] |= {"program": ["sched_cls", "socket_filter", "kprobe"], "link": []}
    where, _ = attachments(node(NAME), **every)
    assert {word.split(" ")[0] for places in where.values() for word in places} == {"cgroup"}


def objects_of(source: RamSource) -> list[int]:
    """Addresses of what leads to programs: programs, maps, links, perf events, interfaces' lists, namespaces."""
    kernel = source.kernel
    found = [address for kind in bpf.KINDS for address in bpf.objects(kernel, kind).address.tolist()]
    events = bpf_trace.event_files(kernel, open_files(kernel, source.file_tasks)[2])
    found += kernel.pointer(events, "file", "private_data").tolist()
    entry = kernel.pointer(source.interfaces.device, "net_device", "tcx_ingress")
    bundle = kernel.pointer(entry[entry != 0], "bpf_mprog_entry", "parent")
    small = kernel.pointer(kernel.container(bundle, "tcx_entry", "bundle"), "tcx_entry", "miniq")
    proto = kernel.pointer(small, "mini_Qdisc", "filter_list")
    groups = (entry[entry != 0], bundle, small, proto, kernel.pointer(proto, "tcf_proto", "root"))
    return [*found, *(address for group in groups for address in group.tolist()), *source.net_namespaces[0].tolist()]


@pytest.mark.parametrize("seed", range(4))
def test_planted_words_name_no_wrong_place(seed: int) -> None:
    """What a word in the way no longer leads to is left out, or has a ? in its words: never another place."""
    source, chance = node(NAME), random.Random(seed)
    objects = objects_of(source)
    told = {record["program"]: record["where"] for record in records(NAME, "TOLD", "attached")}
    for _ in range(8):
        patches = {}
        for _ in range(chance.choice((1, 3, 10))):
            place = np.array([chance.choice(objects) + 8 * chance.randrange(64)], np.uint64)
            pa, there = source.kernel.space.physical(place)
            other = (chance.choice(objects) + chance.choice((0, 8))).to_bytes(8, "little")
            if there[0]:
                patches[int(pa[0])] = chance.choice((bytes(8), b"\xff" * 8, chance.randbytes(8), other))
        for row in tables()["bpf"].read(planted(source, patches)).rows():
            if row["kind"] == "program" and row["id"] in told:
                wrong = [words for words in row["attached"] if words != told[row["id"]]]
                assert all("?" in words or words == "perf_event" for words in wrong), (patches, wrong)
