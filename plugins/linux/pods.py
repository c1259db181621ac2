# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Kubernetes pods of the node, from its memory alone."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class Pods(TablePlugin):
    """Kubernetes pods of the node, from its memory alone."""

    table = "pods"
    columns = (
        "namespace",
        "pod_name",
        "pod_uid",
        "qos",
        "host_network",
        "containers",
        "processes",
        "source",
    )
