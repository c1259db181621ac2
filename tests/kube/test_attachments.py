# SPDX-License-Identifier: Apache-2.0
"""Where programs and links are attached, in words; what has no id is not taken for a program. Against what the loader
said, on every recorded kernel: tests/tables/test_recorded_acts."""

from __future__ import annotations

from typing import Any

import numpy as np

from memir.kernel import bpf
from memir.kernel.fdtable import open_files
from memir.kube.attachments import attachments
from tests.kernel.recorded import node, records

NAME = "s-6.12-recorded"


def asked() -> dict[str, Any]:
    """Programs and links by their types, and open files."""
    kernel = node(NAME).kernel
    every = {kind: bpf.objects(kernel, kind).address for kind in ("program", "link")}
    types = {kind: bpf.types_of(kernel, kind, place) for kind, place in every.items()}
    typed = {kind: dict(zip(place.tolist(), types[kind], strict=True)) for kind, place in every.items()}
    return {"programs": typed["program"], "links": typed["link"], "file": open_files(kernel, node(NAME).file_tasks)[2]}


def test_words_and_owners() -> None:
    where, owners = attachments(node(NAME), **asked())
    names = bpf.names(node(NAME).kernel, "program", np.fromiter(asked()["programs"], np.uint64))
    have = {name: sorted(where[place]) for name, place in zip(names, asked()["programs"], strict=True)}
    for record in records(NAME, "TOLD", "attached"):
        assert have[record["name"]] == [record["where"]]
    assert len(have) == 18 and {len(places) for places in have.values()} == {1}
    assert {owner.pod_name for every in owners.values() for owner in every} == {"api-58f6c9d7b4-q8xkz"}
    assert {word.split(" ")[0] for link in asked()["links"] for word in where[link]} == {
        "cgroup", "xdp", "tcx", "netns", "tracepoint", "raw_tracepoint", "fentry", "kprobe_multi",
    }  # fmt: skip


def test_what_has_no_id_is_none() -> None:
    """A socket's classic filter and the like: places lead to programs that are not among those that were given."""
    where, _ = attachments(node(NAME), {1: "sched_cls", 2: "socket_filter", 3: "kprobe"}, {}, asked()["file"])
    assert {word.split(" ")[0] for places in where.values() for word in places} == {"cgroup"}
