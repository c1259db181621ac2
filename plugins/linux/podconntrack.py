# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Connections that netfilter follows, with their pods and what addresses were translated to."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class PodConntrack(TablePlugin):
    """Connections that netfilter follows, with their pods and what addresses were translated to."""

    table = "conntrack"
    columns = (
        "net_ns",
        "protocol",
        "orig_src",
        "orig_src_port",
        "orig_dst",
        "orig_dst_port",
        "reply_src",
        "reply_src_port",
        "nat",
        "state",
        "timeout",
        "from_name",
        "to_name",
        "namespace",
        "pod_name",
        "container_name",
        "container_id",
    )
