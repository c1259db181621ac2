# SPDX-License-Identifier: Apache-2.0
"""Names by the shorter way are those of the tables, on every image and with the API's pods; where they do not do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from memir.kube.claims import of_container
from memir.kube.containers import Container
from memir.kube.identity import identify
from memir.kube.membership import memberships
from memir.kube.names import Names, names
from memir.kube.oci import OciSpec
from memir.kube.pods import Pod
from memir.kube.ram import RamSource
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import load_cluster
from tests.images import case, intruded
from tests.kube.test_containers import SPEC
from tests.kube.test_identity import ID, INIT, POD, process

Parts = tuple[str | None, ...]


def of_containers(rows: Any) -> dict[str, Parts]:
    return {key: (row.container_name, row.pod_uid, row.pod_name, row.namespace) for key, row in rows.items()}


def of_pods(rows: Any) -> dict[str, Parts]:
    return {
        key: (row.pod_name, row.namespace) for key, row in rows.items() if (row.pod_name, row.namespace) != (None, None)
    }


def same(source: RamSource) -> None:
    said = list(source.claims)
    short = names(source)
    assert of_containers(short.containers) == of_containers(source.containers) != {}
    assert of_pods(short.pods) == of_pods(source.pods) != {}
    assert list(source.claims) == said


def test_the_same_names_as_the_tables(image: str, node_of: Callable[[str], RamSource]) -> None:
    same(node_of(image))


@pytest.mark.parametrize("name", intruded())
def test_the_same_with_the_apis_pods(name: str, node_of: Callable[[str], RamSource]) -> None:
    cluster = load_cluster(case(name).beside("pods.json"))
    same(RamSource(node_of(name).kernel, cluster))


def test_the_kubelets_memory_is_not_read(node_of: Callable[[str], RamSource]) -> None:
    full = node_of("s-6.1-small")
    rows = full.processes.rows
    _ = full.pods
    source = RamSource(full.kernel)
    short, known = (node.owners.by_pid([row.pid for row in rows]).columns() for node in (source, full))
    assert {name: values.to_pylist() for name, values in short.items()} == {
        name: values.to_pylist() for name, values in known.items()
    }
    assert "statuses" not in source.__dict__


TABLES: tuple[Any, Any] = ({ID: Container(ID, container_name="by its status")}, {POD: Pod(POD)})


def short(spec: OciSpec | None) -> Names:
    """Of a node with one pod's container, by its process and that spec."""
    rows = [process(1, 0, "/init.scope", {}), INIT]
    files = RuntimeFiles({} if spec is None else {ID: spec})
    known = memberships(rows, files, None)
    source: Any = SimpleNamespace(
        processes=SimpleNamespace(rows=rows), identities=identify(rows, known), membership=known, files=files,
        node=SimpleNamespace(cluster=None), containers=TABLES[0], pods=TABLES[1],
    )  # fmt: skip
    told = names(source)
    assert known.claims.text(of_container(ID), "container_name") is None  # its claims are as they were
    return told


def test_a_container_that_only_the_kubelet_may_name() -> None:
    by_spec = short(SPEC)
    assert of_containers(by_spec.containers)[ID] == ("web", POD, "web-0", "shop")
    for torn in (None, replace(SPEC, container_name=None)):
        assert (short(torn).containers, short(torn).pods) == TABLES
