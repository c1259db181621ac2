# SPDX-License-Identifier: Apache-2.0
"""Nodes whose kernel told each frame just before they were stopped (tests/lab/recorded.py): samples/s-6.12-recorded, of
which the pages that memir reads are kept, and whole ones in the folders of MEMIR_IMAGES; and their truth."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

from memir.kube.ram import RamSource
from memir.tables.table import tables
from tests.images import ROOT, node_at
from tests.lab import frames

_FOLDERS = [ROOT / "samples", *(Path(folder) for folder in os.environ.get("MEMIR_IMAGES", "").split(":") if folder)]
PATHS = {
    f"{path.name.removesuffix('.frames.zst')}{'' if folder == _FOLDERS[0] else '-whole'}": path
    for folder in _FOLDERS
    for path in sorted(folder.glob("*.frames.zst"))
}
"""Recordings, by the image's name."""


@functools.lru_cache(maxsize=2)
def node(name: str) -> RamSource:
    path = PATHS[name]
    return node_at(path.with_name(path.name.replace(".frames.", ".raw.")))


@functools.lru_cache(maxsize=2)
def told(name: str) -> frames.Recorded:
    """What the kernel told of frames, processes and cgroups."""
    return frames.read(PATHS[name])


@functools.lru_cache(maxsize=16)
def rows(name: str, table: str) -> list[dict[str, Any]]:
    return tables()[table].read(node(name)).rows()


def records(name: str, kind: str, what: str | None = None) -> list[dict[str, Any]]:
    """Lines `@KIND {json}` that the guest wrote, as TOLD, BPF, LAYER and CONNTRACK."""
    path = PATHS[name]
    text = path.with_name(path.name.replace(".frames.zst", ".told.txt"))
    if not text.is_file():
        text = path.with_name(path.name.replace(".frames.zst", ".truth.txt"))
    lines = text.read_text(errors="surrogateescape").splitlines()
    every = [json.loads(line.split(" ", 1)[1]) for line in lines if line.startswith(f"@{kind} ")]
    return [record for record in every if what is None or record["what"] == what]
