# SPDX-License-Identifier: Apache-2.0
"""Everything about one container out of RAM, in one folder: its files, memory, spec, and its rows of every table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.errors import UsageError
from memir.extract.files import Wanted, chosen, write_files
from memir.extract.memory import written
from memir.extract.output import Output, plain, sha256_of
from memir.extract.whose import SHORTEST

if TYPE_CHECKING:
    from memir.node import Node

SCHEMA = 1
MAX_HASHED = 1 << 30
"""Bytes: a file with holes that is longer, as it lies, is not hashed; its holes are in the manifest."""
_VOLUMES = ("secret", "configMap", "projected", "downwardAPI", "emptyDir", "csi", "persistentVolume", "subPath")


@dataclass(frozen=True)
class ContainerCopy:
    """What was written. files: with content, holed of them with holes, listed: without; rows: by table."""

    container_id: str
    title: str
    files: int
    holed: int
    listed: int
    processes: int
    rows: dict[str, int]


def extract_container(node: Node, output: Path, name: str) -> ContainerCopy:
    """Write what RAM has of a container below `output`: rootfs/, memory/, tables/, spec.json, manifest.json.

    name: its id, six or more digits of it, or its name if no other container has that. Secrets are masked in spec.json
    and tables/, as a case has them; files and memory have them in clear. UsageError if there is no such container, or
    the folder has something in it; OutputError if it cannot be written: what is done is kept and listed.
    """
    _ = node.source.kernel  # UsageError for a part of a node, which has none
    row = container_named(node, name)
    ident: str = row["container_id"]
    files, tables = _files(node, row), _tables(node, ident, row["pod_uid"])
    having = _with_memory(node)
    own = [process for process in tables.get("processes", []) if process["container_id"] == ident]
    processes = [process for process in own if process["pid"] in having]
    place = Output(output)
    done: list[dict[str, Any]] = []
    document: dict[str, Any] = {"schema": SCHEMA, "image": str(node.memory.path), "container": row, "files": [],
                                "processes": []}  # fmt: skip
    with place.kept(done, len(files) + len(processes) + len(tables) + 1, document, "written"):
        done.append(_json(place, "spec.json", _spec(node, ident)))
        for table, rows in tables.items():
            lines = ((json.dumps(each, default=plain) + "\n").encode() for each in rows)
            digest = place.write(f"tables/{table}.jsonl", lines)
            done.append({"file": f"tables/{table}.jsonl", "sha256": digest, "rows": len(rows)})
        for file in write_files(node.source.kernel, place, files, below="rootfs"):
            document["files"].append(asdict(file))
            if file.file is not None:
                done.append({"file": file.file, **_as_it_lies(place.folder / file.file, file.sha256)})
        for process in written(node, place, processes, raw=False, below="memory"):
            document["processes"].append(asdict(process))
            done.append({"file": process.file, "sha256": process.sha256})
    with_content = [entry for entry in document["files"] if entry["file"]]
    title = "/".join(part for part in (row["namespace"], row["pod_name"], row["container_name"]) if part)
    return ContainerCopy(
        ident, title or ident[:12], len(with_content), sum(bool(entry["holes"]) for entry in with_content),
        len(files) - len(with_content), len(processes), {table: len(rows) for table, rows in tables.items()},
    )  # fmt: skip


def container_named(node: Node, name: str) -> dict[str, Any]:
    """The row of the table containers. UsageError if there is none, or several, which it names."""
    rows = node["containers"].to_arrow().to_pylist()
    exact = [row for row in rows if row["container_id"] == name]
    several = exact or [
        row
        for row in rows
        if row["container_name"] == name or (len(name) >= SHORTEST and row["container_id"].startswith(name))
    ]
    if not several:
        raise UsageError(f"there is no container {name}: the table containers has those that there are, by id and name")
    if len(several) > 1:
        ids = ", ".join(row["container_id"][:12] for row in several[:10])
        raise UsageError(f"{len(several)} containers are called {name}: give the id of one: {ids}")
    chosen_row: dict[str, Any] = several[0]
    return chosen_row


def _with_memory(node: Node) -> set[int]:
    """Processes that have memory of their own."""
    processes = node.source.processes
    space = node.source.kernel.pointer(processes.living, "task_struct", "mm", gap=False).tolist()
    return {row.pid for row, mm in zip(processes.rows, space, strict=True) if mm}


def _files(node: Node, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Files of its layers, shared ones too, and of its volumes but for the node's own directories (hostPath)."""
    mounts = node["mounts"].to_arrow().to_pylist()
    volumes = {
        mount["source_path"]
        for mount in mounts
        if mount["container_id"] == row["container_id"] and mount["source_path"] and mount["volume_kind"] in _VOLUMES
    }
    roots = {path for path in (row["overlay_upper"], *(row["overlay_lower"] or ())) if path} | volumes
    below = tuple(root.rstrip("/") + "/" for root in roots if root.rstrip("/"))
    return [
        file
        for file in chosen(node, Wanted())
        if file["container_id"] == row["container_id"] or (below and f"{file['node_path']}/".startswith(below))
    ]


def _tables(node: Node, ident: str, pod: str | None) -> dict[str, list[dict[str, Any]]]:
    """Its rows of every table that has any, with those of its pod as a whole (network, limits); and `drift`, what it
    changed of its image."""
    import pyarrow.compute as pc

    tables = {}
    for name in node.default_tables:
        table = node[name].to_arrow()
        if not {"container_id", "pod_uid"} <= set(table.column_names):
            continue
        mine, whole_pod = pc.field("container_id") == ident, pc.field("container_id").is_null()
        kept = mine if pod is None else mine | (whole_pod & (pc.field("pod_uid") == pod))
        rows = table.filter(kept).to_pylist()
        if rows:
            tables[name] = rows
    drift = [row for row in tables.get("inodes", []) if row["change"] and not row["noise"] and not row["freed"]]
    return tables | ({"drift": drift} if drift else {})


def _spec(node: Node, ident: str) -> dict[str, Any] | None:
    """The OCI spec as far as memory has it, secrets masked; None if there is none."""
    spec = node.source.files.specs.get(ident)
    if spec is None:
        return None
    secrets = node.source.secrets
    masked = {"args": secrets.args(spec.args)[0], "env": secrets.environ(spec.env)[0]}
    return {**asdict(spec), **masked}


def _json(place: Output, name: str, document: Any) -> dict[str, Any]:
    data = json.dumps(document, indent=1, default=plain).encode() + b"\n"
    return {"file": name, "sha256": place.write(name, [data])}


def _as_it_lies(path: Path, digest: str | None) -> dict[str, Any]:
    """SHA-256 and size of a file; one with holes is hashed with zeros there, as sha256sum does."""
    size = path.stat().st_size
    return {"sha256": digest or (sha256_of(path) if size <= MAX_HASHED else None), "size": size}
