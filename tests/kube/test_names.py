# SPDX-License-Identifier: Apache-2.0
"""Names by the shorter way are those of the tables, on every image and with the API's pods; where they do not do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from memir.kube.claims import of_container
from memir.kube.identity import identify
from memir.kube.membership import memberships
from memir.kube.names import Names, names
from memir.kube.oci import OciSpec
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


def witnesses(source: RamSource) -> Any:
    return source.processes.rows, source.identities, source.membership, source.files, source.node.cluster


def same(source: RamSource) -> None:
    said = list(source.claims)
    short = names(*witnesses(source)) or Names(source.containers, source.pods)
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


def short(spec: OciSpec | None) -> Names | None:
    """Of a node with one pod's container, by its process and that spec."""
    rows = [process(1, 0, "/init.scope", {}), INIT]
    files = RuntimeFiles({} if spec is None else {ID: spec})
    known = memberships(rows, files, None)
    told = names(rows, identify(rows, known), known, files, None)
    assert known.claims.text(of_container(ID), "container_name") is None  # its claims are as they were
    return told


def test_a_container_that_only_the_kubelet_may_name() -> None:
    by_spec = short(SPEC)
    assert by_spec is not None
    assert of_containers(by_spec.containers)[ID] == ("web", POD, "web-0", "shop")
    assert [short(torn) for torn in (None, replace(SPEC, container_name=None))] == [None, None]


def test_a_node_with_such_a_container_has_the_tables_names(node_of: Callable[[str], RamSource]) -> None:
    """In s-6.12-intruded a process sits in the cgroup of a container that is told by nothing else."""
    source = RamSource(node_of("s-6.12-intruded").kernel)
    assert names(*witnesses(source)) is None
    assert (source.names.containers, source.names.pods) == (source.containers, source.pods)
