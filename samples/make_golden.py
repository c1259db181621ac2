# SPDX-License-Identifier: Apache-2.0
"""Write the golden tables of the samples: `python -m samples.make_golden`. Read the difference before you commit it.

They are every table that the registry can read from RAM, with every column, so that a new one is in them without being
named here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from memir.image.open import open_image
from memir.kernel.engine import Kernel
from memir.kube.inodes import KERNEL_OWN
from memir.kube.ram import RamSource
from memir.symbols.locate import locate
from memir.tables.table import read_tables

HERE = Path(__file__).resolve().parent
KEY = bytes(32)
"""Of the fingerprints of what people choose, which otherwise differ from run to run."""

Golden = Mapping[str, Mapping[str, list[Any]]]
"""By table: `columns`, their names in order, and `rows`, a list a row."""


def golden(source: RamSource) -> Golden:
    """The tables of a source as JSON has them: times as ISO 8601."""
    source.secret_key = KEY
    vars(source).pop("secrets", None)  # made with another key, if it was asked for before
    tables: dict[str, dict[str, list[Any]]] = {}
    for name, frame in read_tables(source).items():
        arrow = _kept(name, frame.to_arrow())
        columns = [arrow.column(column).to_pylist() for column in arrow.column_names]
        rows = [[_plain(value) for value in row] for row in zip(*columns, strict=True)]
        tables[name] = {"columns": arrow.column_names, "rows": rows}
    return tables


def _kept(name: str, table: Any) -> Any:
    """Without files that the kernel makes up (proc, tracefs): ten thousands of rows that say nothing of the image."""
    if name not in ("inodes", "lookups"):
        return table
    kept = [kind is not None and kind.encode() not in KERNEL_OWN for kind in table["fstype"].to_pylist()]
    return table.filter(pa.array(kept, pa.bool_()))


def text_of(tables: Golden) -> str:
    """The file: a row a line, so that a difference names the row."""
    lines = []
    for name, table in tables.items():
        body = ",\n".join("  " + json.dumps(row) for row in table["rows"])
        lines.append(f'"{name}": {{"columns": {json.dumps(table["columns"])}, "rows": [\n{body}\n]}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def main() -> None:
    """One file a sample."""
    for entry in json.loads((HERE / "manifest.json").read_text())["images"]:
        with open_image(HERE / entry["file"], cache=None) as memory:
            tables = golden(RamSource(Kernel(memory, locate(memory))))
        path = HERE / entry["golden"]
        path.write_text(text_of(tables))
        print(path.name, {name: len(table["rows"]) for name, table in tables.items()})


if __name__ == "__main__":
    main()
