# SPDX-License-Identifier: Apache-2.0
"""The table `bpf`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memir.kernel import bpf, timekeeping
from memir.kernel.fdtable import open_files
from memir.kernel.pagetable import U64
from memir.kube.attachments import attachments
from memir.kube.owner import Owner, OwnerBatch
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    kind             string       program, map or link
    id               int64        number of it among its kind, as bpftool shows it
    type             string       cgroup_device, tracing, kprobe, xdp, ...; of a map hash, array, ...; of a link what it ties
    name             string       name that its loader gave it
    tag              string       of a program: 16 hex digits made of its instructions
    time             timestamp    of a program: when it was loaded, UTC
    uid              uint32       of a program: who loaded it
    maps             list<string> of a program: ids of the maps that it uses
    program_id       int64        of a link: the program that it ties
    attached         list<string> where it is attached: `cgroup device /kubepods.slice/...`, `xdp eth0` (`xdp eth0 in netns 4026532201` of one that is not the node's), in this form also tc, tcx, netkit, `tc action`, netns, netfilter, socket (`socket reuseport`, `socket fanout`), maps (sockmap, struct_ops, prog_array, devmap, cpumap), kprobe, kprobe_multi, uprobe, uprobe_multi (file and offset), tracepoint, raw_tracepoint, fentry, fexit, lsm, iter, perf_event; programs of routes, of iptables' xt_bpf and of qdiscs other than clsact and ingress are not read
    pids             list<int32>  processes that have it open
    address          uint64       kernel virtual address of it
    source           string       where the row comes from
""")  # noqa: E501
_SOURCES = {"program": "struct bpf_prog", "map": "struct bpf_map", "link": "struct bpf_link"}


def read(source: RamSource) -> Frame:
    """Programs, maps and links by id. Owned by the pods that they are attached to, else by who has them open."""
    kernel = source.kernel
    task, _, file = open_files(kernel, source.file_tasks)
    holders = _holders(source, task, file)
    objects = {kind: bpf.objects(kernel, kind) for kind in bpf.KINDS}
    types = {kind: bpf.types_of(kernel, kind, every.address) for kind, every in objects.items()}
    attached, place_owners = attachments(source, objects, types, file)
    program_ids: dict[int, int] = {}
    rows: list[dict[str, Any]] = []
    owners: list[list[Owner]] = []
    for kind, every in objects.items():
        address = every.address
        made = _details(source, kind, address)
        if kind == "program":
            program_ids = dict(zip(address.tolist(), every.ident.tolist(), strict=True))
        ties = bpf.tied_programs(kernel, address) if kind == "link" else [0] * len(every)
        names = bpf.names(kernel, kind, address)
        for row, (place, ident) in enumerate(zip(address.tolist(), every.ident.tolist(), strict=True)):
            pids = sorted(holders.get(place, ()))
            rows.append({
                "kind": kind, "id": ident, "type": types[kind][row], "name": names[row], "pids": pids, "address": place,
                "program_id": program_ids.get(ties[row]), "attached": sorted(attached.get(place, ())),
                "source": _SOURCES[kind], **{name: values[row] for name, values in made.items()},
            })  # fmt: skip
            people = {owner for pid in pids if (owner := source.owners.process(pid)) is not None}
            owners.append(list(place_owners.get(place) or people))
    names_of = [column.name for column in COLUMNS]
    owned = OwnerBatch.of_lists(owners).columns()
    return Frame(
        {**{name: [row.get(name) for row in rows] for name in names_of}, **owned}, np.zeros(len(rows), np.uint64)
    )


def _details(source: RamSource, kind: str, address: U64) -> dict[str, list[Any]]:
    """What programs alone have."""
    if kind != "program":
        return {}
    kernel = source.kernel
    aux = bpf.auxiliary(kernel, address)
    boot, now = timekeeping.clocks(kernel)
    loaded = kernel.read(aux, "bpf_prog_aux", "load_time").tolist()
    user = kernel.pointer(aux, "bpf_prog_aux", "user")
    uid = kernel.try_read(user, "user_struct", "uid.val")
    return {
        "tag": bpf.tags(kernel, address),
        "time": [None if boot is None or not 0 < value < now else (boot + value) // 1000 for value in loaded],
        "uid": [value if fine else None for value, fine in zip(uid[0].tolist(), uid[1].tolist(), strict=True)],
        "maps": [[str(number) for number in numbers] for numbers in bpf.used_maps(kernel, address)],
    }


def _holders(source: RamSource, task: NDArray[np.int64], file: U64) -> dict[int, set[int]]:
    """By address of an object: processes that have it open."""
    tasks, pid_of = source.file_tasks.tolist(), source.pid_of
    holders: dict[int, set[int]] = defaultdict(set)
    for row, _, address in bpf.of_files(source.kernel, file):
        holders[address].add(pid_of[tasks[int(task[row])]])
    return holders


TABLE = Table(
    "bpf", "BPF programs, maps and links: who loaded them, where they are attached, who has them open.", COLUMNS,
    "task", {"ram": read}, volatility="linux.podbpf",
)  # fmt: skip
