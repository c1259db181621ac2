# SPDX-License-Identifier: Apache-2.0
"""Whose namespaces are: of those who were given them, not of all that are in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Set
from typing import TYPE_CHECKING, TypeVar

from memir.kube.owner_batch import NODE, Owner, sort_owners

if TYPE_CHECKING:
    from memir.kube.membership import Membership
    from memir.kube.processes import Process

Space = TypeVar("Space", bound=Hashable)
"""A namespace, by whatever tells it from others."""


def residents(
    rows: Iterable[tuple[Space, Process]],
    owners: Mapping[int, Owner],
    known: Membership,
    host: Set[Space] = frozenset(),
) -> dict[Space, tuple[Owner, ...]]:
    """Owners of namespaces, from (namespace, a process in it).

    owners: of processes, by address of task_struct. host: those namespaces that are the node's own. What a container's
    first process has is the container's: whoever joined later (nsenter, a debugger, an intruder) has its own elsewhere,
    and one that left its cgroup for another's does not make its namespaces that one's. Only where no first process is
    known they are of all that are in them.
    """
    first = {process.task: container in known.stand_in for container, process in known.init.items()}
    ranks: dict[Space, dict[int, set[Owner]]] = defaultdict(lambda: defaultdict(set))
    for space, process in rows:
        owner = owners.get(process.task)
        if owner is not None:
            rank = 2 if process.task not in first else int(first[process.task])
            ranks[space][rank if space not in host or rank == 2 else 0].add(owner)
    for space in host:
        ranks[space][0].add(NODE)
    return {space: sort_owners(of[min(of)]) for space, of in ranks.items()}
