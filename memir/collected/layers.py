# SPDX-License-Identifier: Apache-2.0
"""Rows of the table `inodes` from the lists of a collected pod's layers (memir.evidence.layer_list).

A list names what is in a layer's tar; the kernel's own facts (inode, page cache, names that are gone) are not in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memir.collected.rows import Row, Rows, mount_rows, shown
from memir.evidence.layer_list import list_of
from memir.kube import drift

if TYPE_CHECKING:
    from memir.collected.source import CollectedSource

MOST = 1 << 21
"""Rows of all layers together."""
_KINDS = {"file": "regular", "hardlink": "regular", "whiteout": "char"}
_LAYERS = {"upper": "upper", "rootfs": "merged"}


def inode_rows(source: CollectedSource) -> Rows:
    """Of the table `inodes`: each file of each layer's list, keyed by its container."""
    rows: list[Row] = []
    keys: list[str] = []
    points = _mount_points(source)
    for container, rest in source.below("node/containers"):
        if rest not in ("upper.tar", "rootfs.tar"):
            continue
        name = f"node/containers/{container}/{rest}"
        if list_of(name) not in source.names:
            source.gaps.add("layer", name, "no list of its files: collected by a memir that made none")
            continue
        for row in _rows(source, container, name, points.get(container, set())):
            if len(rows) == MOST:
                source.gaps.add("layer", name, f"more than {MOST:,} files in the layers: the rest is in the lists")
                return rows, keys
            rows.append(row)
            keys.append(container)
    return rows, keys


def _rows(source: CollectedSource, container: str, name: str, points: set[str]) -> Iterator[Row]:
    kind = name.rpartition("/")[2].removesuffix(".tar")
    root = _roots(source, container)
    place = root.get("upper" if kind == "upper" else "merged")
    filled = set(source.filled(name))
    known: dict[str, Row] = {}
    directory: Row | None = None
    for number, entry in _entries(source, list_of(name)):
        path = str(entry["path"])
        if entry["type"] == "opaque":
            # the directory that it is of has just been there
            if directory is not None and directory["container_path"] == shown(path) and entry.get("hides") == "image":
                directory["change"], directory["noise"] = drift.OPAQUE, None
            continue
        if directory is not None:
            yield directory
            directory = None
        row = _row(entry, place, f"{list_of(name)} line {number}")
        row["layer"], row["seen_by"] = _LAYERS[kind], [f"{kind}.tar"]
        if path in filled:
            row["sha256"] = None
        if entry["type"] == "hardlink":
            first = known.get(str(entry.get("target")), {})
            row |= {column: first.get(column) for column in ("size", "sha256")}
        elif entry["type"] == "file":
            known[path] = row
        if kind == "upper":
            row["change"] = _change(entry)
            empty = row["kind"] == "directory" or row["size"] == 0
            row["noise"] = drift.reason(path, empty, row["kind"] == "directory", row["change"], points)
        if entry["type"] == "directory":
            directory = row
        else:
            yield row
    if directory is not None:
        yield directory


def _row(entry: dict[str, Any], place: Any, where: str) -> Row:
    path, kind = shown(entry["path"]), str(entry["type"])
    size, digest = entry.get("size"), entry.get("sha256")
    return {
        "container_path": path, "node_path": f"{shown(place)}{path}" if isinstance(place, str) and place else None,
        "kind": _KINDS.get(kind, kind), "mode": _octal(entry.get("mode")), "uid": _whole(entry.get("uid"), 1 << 32),
        "gid": _whole(entry.get("gid"), 1 << 32), "size": _whole(size, 1 << 63),
        **{name: _microseconds(entry.get(name)) for name in ("mtime", "ctime", "atime")},
        "deleted": False, "freed": False, "sha256": digest if isinstance(digest, str) and size else None,
        "source": where,
    }  # fmt: skip


def _change(entry: dict[str, Any]) -> str | None:
    if entry["type"] == "whiteout":
        return drift.WHITEOUT
    return {"image": drift.MODIFIED, "none": drift.CREATED}.get(str(entry.get("origin")))


def _entries(source: CollectedSource, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, entry) of a list, lines that are none passed over and counted."""
    for number, line in enumerate(source.read(name).splitlines(), 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and isinstance(value.get("path"), str) and isinstance(value.get("type"), str):
            yield number, value
        elif number > 1 or not isinstance(value, dict) or value.get("version") != 1:
            source.gaps.add("layer", f"{name} line {number}", "is no entry of a list")


def _roots(source: CollectedSource, container: str) -> dict[str, Any]:
    roots = source.node_facts.get("roots")
    root = roots.get(container) if isinstance(roots, dict) else None
    return root if isinstance(root, dict) else {}


def _mount_points(source: CollectedSource) -> dict[str, set[str]]:
    """By container where it has mounted something, and what lies above that: by its mount table, or by its spec."""
    points: dict[str, set[str]] = {}
    rows, keys = mount_rows(source)
    known = [(key, str(row["mount_point"])) for row, key in zip(rows, keys, strict=True)]
    known += [(ident, mount.destination) for ident, spec in source.specs.items() for mount in spec.mounts or ()]
    for container, point in known:
        parts = point.split("/")
        points.setdefault(container, set()).update("/".join(parts[:depth]) for depth in range(2, len(parts) + 1))
    return points


def _whole(value: Any, below: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below else None


def _octal(value: Any) -> int | None:
    return int(value, 8) if isinstance(value, str) and re.fullmatch("[0-7]{1,4}", value) else None


def _microseconds(value: Any) -> int | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(value * 1e6) if number and abs(value) < 1 << 33 else None
