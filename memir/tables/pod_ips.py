# SPDX-License-Identifier: Apache-2.0
"""The table `pod_ips`."""

from __future__ import annotations

from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    address          string       IPv4 or IPv6 address of a pod
    witness          string       who says so: interface (of the pod's network namespace) or API
    net_ns           uint64       network namespace that has the interface
    interface        string       name of the interface in the pod
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Addresses of pods, once a witness; the node's own, which host-network pods share, are not theirs."""
    rows = sorted(source.addresses.pods, key=lambda entry: (entry.address, entry.witness, entry.pod_uid))
    names = ("address", "witness", "net_ns", "interface")
    data = {name: [getattr(entry, name) for entry in rows] for name in names}
    return Frame({**data, "source": ["API" if entry.witness == "API" else "in_ifaddr" for entry in rows]},
                 [entry.pod_uid for entry in rows])  # fmt: skip


TABLE = Table("pod_ips", "Which address is which pod.", COLUMNS, "pod_uid", {"ram": read})
