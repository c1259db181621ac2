# SPDX-License-Identifier: Apache-2.0
"""The table `pods`."""

from __future__ import annotations

from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    pod_uid          string       pod UID with dashes, or 32 hex digits for a static pod
    qos              string       Guaranteed, Burstable or BestEffort
    service_account  string       service account
    host_network     bool         shares the node's network namespace
    node             string       node name
    containers       int32        containers known, without sandboxes and removed ones; null if one may be either
    processes        int32        processes placed in it
    labels           list<string> `key=value`, from the API
    owner            string       `Kind/name` of the controlling object, from the API
    phase            string       phase, from the API
    removed          bool         the runtime has removed all its containers; neither a process nor the API knows it
    seen_in          string       ram, api or both
    doubts           list<string> what is doubtful: witnesses that differ; empty if nothing is
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every pod that memory or the API knows, by namespace and name."""
    rows = list(source.pods.values())
    names = [column.name for column in COLUMNS if column.name != "source"]
    origin = ["; ".join(row.sources) for row in rows]
    return Frame({name: [getattr(row, name) for row in rows] for name in names} | {"source": origin})


TABLE = Table("pods", "Pods of the node.", COLUMNS, "pod_uid", {"ram": read}, volatility="linux.pods")
