# SPDX-License-Identifier: Apache-2.0
"""samples/s-6.1-held: what a node holds where no page table and no table of open files shows it, and its truth.

samples/s-6.1-zswap: the same of a node whose swapped pages zswap has.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np

from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from tests.images import ROOT, node_at

NAME = "s-6.1-held"
ZSWAP = "s-6.1-zswap"


@functools.cache
def node(name: str = NAME) -> RamSource:
    return node_at(ROOT / "samples" / f"{name}.raw.zst")


def truth(what: str, name: str = NAME) -> list[dict[str, Any]]:
    """Lines `@HELD {...}` of one kind, as the guest wrote them (tests/lab/small/holder.c)."""
    lines = (ROOT / "samples" / f"{name}.held.txt").read_text().splitlines()
    every = [json.loads(line.removeprefix("@HELD ")) for line in lines if line.startswith("@HELD ")]
    return [record for record in every if record["what"] == what]


def swapped(name: str = NAME) -> dict[str, dict[str, Any]]:
    """By compressor, what its process had swapped out."""
    return {record["name"]: record for record in truth("swap", name)}


def mm_of(kernel: Kernel, pid: int, name: str = NAME) -> Any:
    """The mm_struct of a process, uint64[1]."""
    rows = [row for row in node(name).processes.rows if row.pid == pid]
    return kernel.pointer(np.array([rows[0].task], np.uint64), "task_struct", "mm")
