# SPDX-License-Identifier: Apache-2.0
"""Whose memory a hunt goes through: --pod, --namespace, --container and --pid."""

from __future__ import annotations

from dataclasses import dataclass

from memir.kube.owner import Owner


@dataclass(frozen=True)
class Wanted:
    """What --pod, --namespace, --container and --pid ask for; empty asks for everything."""

    pods: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()
    pids: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.pods or self.namespaces or self.containers or self.pids)

    def words(self) -> str:
        """As the command line has it."""
        asked = {"pod": self.pods, "namespace": self.namespaces, "container": self.containers, "pid": self.pids}
        return " ".join(f"--{name} {value}" for name, chosen in asked.items() for value in sorted(map(str, chosen)))

    def has(self, owner: Owner, pid: int | None) -> bool:
        """Whether an owner is asked for.

        Pods by name, `namespace/name` or UID, containers by name or the beginning of their id.
        """
        if self.pids and pid not in self.pids:
            return False
        if self.pods and not self.pods & {owner.pod_name, owner.pod_uid, f"{owner.namespace}/{owner.pod_name}"}:
            return False
        if self.namespaces and owner.namespace not in self.namespaces:
            return False
        if not self.containers or owner.container_name in self.containers:
            return True
        return any(owner.container_id is not None and owner.container_id.startswith(part) for part in self.containers)
