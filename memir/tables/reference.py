# SPDX-License-Identifier: Apache-2.0
"""docs/reference/tables.md, made from the registry: `python -m memir.tables.reference > docs/reference/tables.md`."""

from __future__ import annotations

from memir.tables.table import OWNER_COLUMNS, Table, tables
from memir.text import say_raw

_HEAD = """# Tables of a case

Made by `python -m memir.tables.reference` from the tables' own files; edit those.

Each table is `tables/NAME.parquet` in a case; `memir query CASE 'SQL'` knows it by name. `null` means not known; an
empty string is never used for it. Times are UTC with microseconds (`timestamp[us, UTC]`). A table that a source cannot
give is absent and counted as a gap, never empty.

Whose a row is, its last columns say:
{owner}.
They are filled when exactly one pod (or one container without a pod) owns the row. Where several do, or a pod together
with the node itself, they are null and `shared_by` lists the pods' UIDs. Only `hits` has a row for each owner instead.
"""


def reference() -> str:
    """The whole page as Markdown, with a final newline."""
    owner = ", ".join(f"`{name}`" for name in OWNER_COLUMNS)
    return "\n".join([_HEAD.format(owner=owner), *(_section(table) for table in tables().values())])


def _section(table: Table) -> str:
    facts = [table.doc]
    if table.owner == "row":
        facts.append("Each row names its owner.")
    elif table.owner is not None:
        facts.append(f"Rows are owned by {table.owner.replace('_', ' ')}.")
    makers = {"findings": "memir analyze", "indicators": "memir analyze --ioc"}
    made = f"Made by `{makers.get(table.name, 'memir hunt')}`."
    readers = ", ".join(sorted(table.readers))
    facts.append(f"Read from: {readers}." if readers else made)
    if table.on_request:
        facts.append(f"Read where it is named alone: `--tables +{table.name}`, `node.sql`.")
    if table.volatility:
        facts.append(f"volatility3 plugin: `{table.volatility}`.")
    lines = [f"## {table.name}", "", " ".join(facts), "", "| column | type | meaning |", "|---|---|---|"]
    for column in table.columns:
        doc = column.doc.replace("|", "\\|")
        lines.append(f"| {column.name} | {column.type.replace('<', '&lt;')} | {doc} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    say_raw(reference())
