# SPDX-License-Identifier: Apache-2.0
"""Methods and versions for the page: what another examiner needs to do the same again and see the same."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from typing import Any

from memir.findings.attack import VERSION, technique
from memir.findings.detect import able

_LIBRARIES = ("numpy", "pyarrow", "duckdb", "construct", "yara-python", "volatility3", "zstandard")
"""Those whose work ends up in a table."""


def methods(record: Mapping[str, Any], tables: Iterable[str]) -> dict[str, Any]:
    """Runs as case.json has them, the libraries of this machine now, and how each finding is decided."""
    return {
        "python": platform.python_version(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name)) is not None},
        "attack": VERSION,
        "runs": record["runs"],
        "detections": [
            {
                "kind": each.kind,
                "title": each.title,
                "how": each.how,
                "technique": f"{each.technique} {technique(each.technique).name}",
                "tables": list(each.tables),
            }
            for each in able(tables)
        ],
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
