# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Namespaces of every kind, and who is in them."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class Namespaces(TablePlugin):
    """Namespaces of every kind, and who is in them."""

    table = "namespaces"
    columns = (
        "kind",
        "inum",
        "initial",
        "pids",
        "pods",
    )
