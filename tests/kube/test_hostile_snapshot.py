# SPDX-License-Identifier: Apache-2.0
"""What the API said, in mutated shapes, joined with a node's memory up to the tables: a gap or a reason, no crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.errors import ClusterError
from memir.kube.ram import RamSource
from memir.kube.snapshot import load_cluster
from memir.node import Node
from memir.open_node import open as open_node
from memir.ram_node import RamNode
from tests.fuzz import cases, shapes
from tests.images import ROOT

SAMPLE = ROOT / "samples" / "s-6.12-intruded.raw.zst"
PODS: dict[str, Any] = json.loads((ROOT / "samples" / "s-6.12-intruded.pods.json").read_text())
WHOLE: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "cluster" / "pods.json").read_text())
FILES = [json.loads(file.read_text()) for file in sorted((Path(__file__).parent / "data" / "cluster").glob("*.json"))]
OF_MEMORY = ("mounts", "processes", "host_mnt_ns", "namespace_mounts", "files", "statuses", "facts")
TABLES = ("pods", "containers", "api_pods", "claims")


@pytest.fixture(scope="module")
def memory() -> Iterator[RamSource]:
    """The node without a cluster: what of it does not depend on one is read once."""
    with open_node(SAMPLE) as node:
        for name in OF_MEMORY:
            getattr(node.source, name)
        yield node.source


def joined(memory: RamSource, file: Path) -> Node:
    source = RamSource(memory.kernel, load_cluster(file))
    for name in OF_MEMORY:
        source.__dict__[name] = memory.__dict__[name]
    return RamNode(source, cluster=str(file), progress=None)


def seeds() -> list[Any]:
    """Lists with labels, annotations and every kind of status, single objects, and files of other kinds."""
    return [PODS, *PODS["items"], {"kind": "List", "items": WHOLE["items"][:2]}, *WHOLE["items"], *FILES]


def test_the_join_of_an_unchanged_snapshot(memory: RamSource, tmp_path: Path) -> None:
    (tmp_path / "pods.json").write_text(json.dumps(PODS))
    node = joined(memory, tmp_path / "pods.json")
    known = {row["pod_uid"] for row in node["pods"].to_arrow().to_pylist()}
    assert {pod["metadata"]["uid"] for pod in PODS["items"]} <= known | {
        row["pod_uid"] for row in node["api_pods"].to_arrow().to_pylist()
    }


def test_no_shape_of_a_snapshot_is_a_crash(memory: RamSource, tmp_path: Path) -> None:
    file = tmp_path / "pods.json"
    read = 0
    for document in shapes(seeds(), cases(200, 1000), 3):
        file.write_text(json.dumps(document))
        try:
            node = joined(memory, file)
        except ClusterError as error:
            assert str(file) in str(error)
            continue
        read += 1
        for table in TABLES:
            node[table]
    assert read > cases(200, 1000) // 3
