# SPDX-License-Identifier: Apache-2.0
"""Names of containers and pods, without what the kubelet's memory says of how they fare: to look through that takes a
third of what a table costs that is read alone, and it names a container only where nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from memir.kube.containers import Container, build_containers, is_reported
from memir.kube.identity import Identity
from memir.kube.membership import Membership
from memir.kube.pods import Pod, build_pods
from memir.kube.processes import Process
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import ClusterSnapshot


@dataclass(frozen=True, slots=True)
class Names:
    """Containers by id and pods by UID: only what `Owner` has of them is as the tables have it."""

    containers: Mapping[str, Container]
    pods: Mapping[str, Pod]


def names(
    processes: list[Process],
    identities: list[Identity],
    membership: Membership,
    files: RuntimeFiles,
    cluster: ClusterSnapshot | None,
) -> Names | None:
    """Names of a node's containers and pods; None where the kubelet may have the only word. Claims stay as they are.

    cluster: of this node's pods alone.
    """
    known = replace(membership, claims=membership.claims.copy())
    containers = build_containers(processes, identities, known, files, {}, cluster)
    nameless = [row.container_id for row in containers.values() if row.container_name is None]
    if any(is_reported(container, known, files) for container in nameless):
        return None
    return Names(containers, build_pods(containers, identities, known, files, cluster, None))
