# SPDX-License-Identifier: Apache-2.0
"""What containers have changed of their images, a line a container."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]
MOST = 6
"""Files in a line; the rest is counted, and in the table `inodes`."""
_COLUMNS = (
    "namespace", "pod_name", "container_id", "container_name", "container_path", "kind", "change", "noise", "layer",
    "deleted", "freed",
)  # fmt: skip
_RANK = {"whiteout": 0, "opaque": 1, "created": 2, "modified": 3, None: 4}


def drift_rows(inodes: pa.Table) -> list[dict[str, Any]]:
    """The rows of the table `inodes` that drift_lines needs: those of upper layers that may be news."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # columns, not an expression, for which pyarrow loads its query engine
    upper = pc.equal(inodes["layer"], pa.scalar("upper"))
    news = pc.and_kleene(upper, inodes["noise"].is_null())
    rows: list[dict[str, Any]] = inodes.select(list(_COLUMNS)).filter(news).to_pylist()
    return rows


def drift_lines(rows: Iterable[Row], containers: Iterable[Row] = ()) -> list[str]:
    """`namespace/pod container: created /tmp/a (deleted), /tmp/b; modified /etc/c`, by pod and container.

    containers: of their table, which tells a pod's sandbox.
    A directory is told where nothing in it is. Deleted files of the image come first, then what was made.
    """
    sandboxes = {row["container_id"] for row in containers if row["kind"] == "sandbox"}
    changed: dict[str, set[tuple[int, str, str]]] = defaultdict(set)
    for row in rows:
        if row["layer"] != "upper" or row["noise"] or row["freed"] or row["container_path"] in (None, "/"):
            continue
        word = {"whiteout": "deleted", "opaque": "replaced", None: "changed"}.get(row["change"]) or str(row["change"])
        path = row["container_path"] + ("/" if row["kind"] == "directory" else "")
        gone = " (deleted)" if row["deleted"] else ""
        changed[_container(row, sandboxes)].add((_RANK.get(row["change"], 4), word, path + gone))
    return [f"{name}: {_words(files)}" for name, files in sorted(changed.items()) if files]


def _container(row: Row, sandboxes: Collection[str]) -> str:
    pod = f"{row['namespace']}/{row['pod_name']}" if row["pod_name"] else None
    ident = row["container_id"] or ""
    container = row["container_name"] or ("sandbox" if ident in sandboxes else ident[:12])
    return " ".join(part for part in (pod, container) if part) or "container not known"


def _words(files: set[tuple[int, str, str]]) -> str:
    paths = [path.removesuffix(" (deleted)") for _, _, path in files]
    kept = sorted(
        (rank, word, path)
        for rank, word, path in files
        if not (bare := path.removesuffix(" (deleted)")).endswith("/")
        or not any(other != bare and other.startswith(bare) for other in paths)
    )
    parts: dict[str, list[str]] = defaultdict(list)
    for _, word, path in kept[:MOST]:
        parts[word].append(path)
    more = f" and {len(kept) - MOST} more" if len(kept) > MOST else ""
    return "; ".join(f"{word} {', '.join(names)}" for word, names in parts.items()) + more
