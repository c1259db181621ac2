# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Pages of code that processes have as their own copy, and what differs from the file."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class PodCode(TablePlugin):
    """Pages of code that processes have as their own copy, and what differs from the file."""

    table = "code_pages"
    columns = (
        "pid",
        "address",
        "path",
        "offset",
        "permissions",
        "differing",
        "breakpoints",
        "first",
        "bytes",
        "file_bytes",
        "namespace",
        "pod_name",
        "container_name",
        "container_id",
    )
