# SPDX-License-Identifier: Apache-2.0
"""The table `pods`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memir.checkpoint.rows import pod_rows
from memir.collected import rows as collected
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.checkpoint.source import CheckpointSource
    from memir.collected.source import CollectedSource

COLUMNS = columns("""
    pod_uid          string       pod UID with dashes, or 32 hex digits for a static pod
    qos              string       Guaranteed, Burstable or BestEffort
    service_account  string       service account, by its token in the pod's volume or the API
    iam_role         string       ARN of the role that its service account may take (IAM roles for service accounts)
    host_network     bool         shares the node's network namespace
    node             string       node name
    containers       int32        containers known, without sandboxes and removed ones; null if one may be either
    processes        int32        processes placed in it
    labels           list<string> `key=value`, from the API
    owner            string       `Kind/name` of the controlling object, from the API
    phase            string       phase, from the API or as the kubelet last reported it
    deleted_at       timestamp    end of its grace period, if the API was asked to delete it, UTC
    removed          bool         the runtime has removed all its containers, neither a process nor the API knows it; or no more than memory charged to its removed cgroup is left of it
    seen_in          string       ram, api or both
    doubts           list<string> what is doubtful: witnesses that differ; empty if nothing is
    source           string       where the row comes from
""")  # noqa: E501


def read(source: RamSource) -> Frame:
    """Every pod that memory or the API knows, by namespace and name."""
    rows = list(source.pods.values())
    names = [column.name for column in COLUMNS if column.name not in ("source", "deleted_at")]
    deleted = [row.deleted_at // 1000 if row.deleted_at is not None else None for row in rows]
    origin = ["; ".join(row.sources) for row in rows]
    return Frame(
        {name: [getattr(row, name) for row in rows] for name in names} | {"deleted_at": deleted, "source": origin}
    )


def read_checkpoint(source: CheckpointSource) -> Frame:
    """The same of a checkpoint's container."""
    return frame_of(COLUMNS, source.gaps, pod_rows(source))


def read_collected(source: CollectedSource) -> Frame:
    """The same of a collected pod."""
    return frame_of(COLUMNS, source.gaps, *collected.pod_rows(source))


TABLE = Table(
    "pods", "Pods of the node.", COLUMNS, "pod_uid",
    {"ram": read, "checkpoint": read_checkpoint, "pod": read_collected}, volatility="linux.pods",
)  # fmt: skip
