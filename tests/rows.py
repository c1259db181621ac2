# SPDX-License-Identifier: Apache-2.0
"""Tables as lists of plain rows, for tests that look at single values."""

from __future__ import annotations

from typing import Any

from memir.tables.table import Source, read_tables


def rows_of(source: Source, *names: str) -> dict[str, list[dict[str, Any]]]:
    """Tables of the source by name: those named, or every one that it gives."""
    return {name: frame.rows() for name, frame in read_tables(source, names or None).items()}
