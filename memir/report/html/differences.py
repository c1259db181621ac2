# SPDX-License-Identifier: Apache-2.0
"""What differs from another case, for the page: a table of differences, and the facts of both images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from memir.report.diff import values_line

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.case.diff import Diff

NAME = "differences"
DOC = "What differs between another case (old) and this one (new), a row a thing; matched by what it is, never by a pid"
_PLACE = {"namespace": "namespace", "workload": "workload", "container": "container_name"}
_DOCS = {
    "kind": "kind of thing that is compared",
    "state": "new, gone or changed",
    "namespace": "namespace of its pod",
    "workload": "workload of its pod, as Deployment/api",
    "container_name": "container, or the id of one of no pod",
    "what": "what it is: program and arguments, path, port, name",
    "old": "values in the other case that differ",
    "new": "values in this case that differ",
    "count_old": "how many rows there were",
    "count_new": "how many rows there are",
}


def differences_table(diff: Diff) -> pa.Table:
    """Every difference as a row: kind, state, namespace, workload, container_name, what, old, new, counts."""
    import pyarrow as pa

    rows: dict[str, list[Any]] = {name: [] for name in _DOCS}
    for each in diff.differences:
        key = dict(each.key)
        for name, column in _PLACE.items():
            rows[column].append(_text(key.pop(name, None)))
        rows["kind"].append(each.kind)
        rows["state"].append(each.state)
        rows["what"].append(" ".join(str(value) for value in key.values()) or None)
        rows["old"].append(values_line(each.old) or None)
        rows["new"].append(values_line(each.new) or None)
        rows["count_old"].append(each.count[0])
        rows["count_new"].append(each.count[1])
    schema = pa.schema(
        [
            pa.field(name, pa.int64() if name.startswith("count_") else pa.string(), metadata={"doc": doc})
            for name, doc in _DOCS.items()
        ]
    )
    return pa.table(rows, schema=schema)


def differences_head(diff: Diff, other: str) -> dict[str, Any]:
    """What the page shows before the table: the images' facts, what was compared and what not. other: its name."""
    document: Mapping[str, Any] = diff.to_json()
    return {"other": other, **{name: document[name] for name in ("facts", "compared", "lacking")}}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
