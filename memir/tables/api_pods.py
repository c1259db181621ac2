# SPDX-License-Identifier: Apache-2.0
"""The table `api_pods`."""

from __future__ import annotations

from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    pod_uid          string       pod UID as the API has it
    pod_name         string       pod name
    namespace        string       Kubernetes namespace
    node             string       name of the node it is on; null if it is on none yet
    pod_ips          list<string> its addresses: the other ends of this node's connections
    host_ip          string       its node's address
    host_network     bool         shares its node's network namespace, so that its addresses are the node's
    phase            string       Pending, Running, Succeeded, Failed or Unknown
    service_account  string       service account
    owner            string       `Kind/name` of the controlling object
    workload         string       `Kind/name` of the controller at the end of the chain
    labels           list<string> `key=value`
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """The API's pods that are not this node's; none where no snapshot was given, or another cluster's."""
    pods = sorted(source.node.others, key=lambda pod: (pod.namespace, pod.name, pod.uid))
    same = ("namespace", "node", "host_ip", "host_network", "phase", "service_account", "owner", "workload")
    return Frame({
        "pod_uid": [pod.uid for pod in pods],
        "pod_name": [pod.name for pod in pods],
        **{name: [getattr(pod, name) for pod in pods] for name in same},
        "pod_ips": [list(pod.pod_ips) for pod in pods],
        "labels": [[f"{key}={value}" for key, value in sorted(pod.labels.items())] for pod in pods],
        "source": ["API"] * len(pods),
    })  # fmt: skip


TABLE = Table("api_pods", "Pods of the API that are not this node's.", COLUMNS, None, {"ram": read})
