# SPDX-License-Identifier: Apache-2.0
"""Names of containers and pods, without what the kubelet's memory says of how they fare: to look through that takes a
third of what a table costs that is read alone, and it names a container only where nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from memir.kube.containers import Container, build_containers, is_reported
from memir.kube.identity import Identity
from memir.kube.membership import Membership
from memir.kube.node_identity import NodeMatch
from memir.kube.pods import Pod, build_pods
from memir.kube.processes import ProcessList
from memir.kube.runtime import RuntimeFiles


class _Told(Protocol):
    """What names are told by: memir.kube.ram.RamSource is one."""

    @property
    def processes(self) -> ProcessList: ...
    @property
    def identities(self) -> list[Identity]: ...
    @property
    def membership(self) -> Membership: ...
    @property
    def files(self) -> RuntimeFiles: ...
    @property
    def node(self) -> NodeMatch: ...
    @property
    def containers(self) -> dict[str, Container]: ...
    @property
    def pods(self) -> dict[str, Pod]: ...


@dataclass(frozen=True, slots=True)
class Names:
    """Containers by id and pods by UID: only what `Owner` has of them is as the tables have it."""

    containers: Mapping[str, Container]
    pods: Mapping[str, Pod]


def names(source: _Told) -> Names:
    """The names of a node's containers and pods; gaps and claims of the source stay as they are."""
    known = replace(source.membership, claims=source.membership.claims.copy())
    rows, identities, cluster = source.processes.rows, source.identities, source.node.cluster
    containers = build_containers(rows, identities, known, source.files, {}, cluster)
    nameless = [row.container_id for row in containers.values() if row.container_name is None]
    if any(is_reported(container, known, source.files) for container in nameless):
        return Names(source.containers, source.pods)
    return Names(containers, build_pods(containers, identities, known, source.files, cluster, None))
