# SPDX-License-Identifier: Apache-2.0
"""A pod that containerd had removed: its bucket is off the tree of meta.db, its pages are still in RAM.

The image is a sample in whose page cache the leaf of v1/k8s.io/containers is written again without the ended job, as
bbolt's delete writes it (node.go, node.del and node.write); pages of the job's own buckets stay as they were: free.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from memir.gaps import Gaps
from memir.image.memory import PhysicalMemory
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.kube.snapshot import ClusterSnapshot, load_cluster
from memir.ram_node import RamNode
from memir.symbols.locate import locate
from tests.damage import PAGE, by, damaged, patched
from tests.images import ROOT, case
from tests.lab.bolt import _leaf
from tests.lab.pods import JOB

NAME = "s-6.12-intruded"
IDS = {JOB.sandbox.id, *(container.id for container in JOB.containers)}
Element = tuple[int, bytes, bytes]


def elements(page: bytes) -> list[Element] | None:
    """(flags, key, value) of a leaf page; None if it is no leaf."""
    _, kind, count, overflow = struct.unpack_from("<QHHI", page)
    if kind != 2 or overflow or not 0 < count < 100:
        return None
    found = []
    for row in range(count):
        place = 16 + 16 * row
        flags, position, key, value = struct.unpack_from("<IIII", page, place)
        start = place + position
        if start + key + value > PAGE:
            return None
        found.append((flags, page[start : start + key], page[start + key : start + key + value]))
    return found


def without(page: bytes, ids: set[str]) -> bytes | None:
    """A leaf of containers without some; None if the page is none that has them."""
    old = elements(page)
    if old is None or not {key.decode("ascii", "replace") for _, key, _ in old} >= ids:
        return None
    kept = [element for element in old if element[1].decode() not in ids]
    number = struct.unpack_from("<Q", page)[0]
    return (struct.pack("<QHHI", number, 2, len(kept), 0) + _leaf(kept)).ljust(PAGE, b"\0")


def tables(memory: PhysicalMemory, cluster: ClusterSnapshot) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """(containers by id, pods by UID)."""
    source = RamSource(Kernel(memory, locate(memory), Gaps()), cluster)
    source.secret_key = bytes(32)
    node = RamNode(source, cluster="pods.json", progress=None)
    containers, pods = (node[name].to_arrow().to_pylist() for name in ("containers", "pods"))
    return by(containers, "container_id"), by(pods, "pod_uid")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(before, after) of the tables, with what the API says when it has deleted the job's pod."""
    listed = json.loads((ROOT / "samples" / f"{NAME}.pods.json").read_text())
    listed["items"] = [pod for pod in listed["items"] if pod["metadata"]["uid"] != JOB.uid]
    file = tmp_path_factory.mktemp("api") / "pods.json"
    file.write_text(json.dumps(listed))
    cluster = load_cluster(file)
    with case(NAME).open() as memory:
        before = tables(memory, cluster)
        pages = {}
        for start, view in memory.views(1 << 20, skip_zeros=True):
            data = bytes(view)
            at = data.find(JOB.sandbox.id.encode())
            while at >= 0:
                low = at // PAGE * PAGE
                new = without(data[low : low + PAGE], IDS)
                if new is not None:
                    pages[start + low] = new
                at = data.find(JOB.sandbox.id.encode(), low + PAGE)
        assert pages
        yield before, tables(damaged(memory, patched(memory, pages)), cluster)


def test_an_ended_pod_has_ended(changed: Any) -> None:
    (containers, pods), _ = changed
    assert {containers[ident]["state"] for ident in IDS} == {"exited"}
    assert pods[JOB.uid]["removed"] is False


def test_a_removed_one_is_said_to_be_removed(changed: Any) -> None:
    """Not exited, and not counted among its pod's containers."""
    _, (containers, pods) = changed
    shown = {ident: containers[ident]["state"] for ident in IDS & containers.keys()}
    assert shown and set(shown.values()) == {"removed"}
    pod = pods[JOB.uid]
    assert (pod["removed"], pod["containers"], pod["pod_name"]) == (True, 0, JOB.name)


def test_everyone_else_is_as_before(changed: Any) -> None:
    (containers, pods), (later, later_pods) = changed
    for ident in containers.keys() - IDS:
        assert later[ident] == containers[ident]
    for uid in pods.keys() - {JOB.uid}:
        assert later_pods[uid] == pods[uid]
