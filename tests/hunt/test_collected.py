# SPDX-License-Identifier: Apache-2.0
"""A collected pod hunted through: every hit is its container's process's, at its own address."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import memir
from memir.collected.cores import PageRuns
from memir.collected.source import CollectedSource
from memir.collected_node import CollectedNode
from memir.errors import UsageError
from memir.hunt.collected import hunt_collected, owners_of, units_of
from memir.hunt.hunt import Options
from memir.hunt_options import compile_rules
from tests.collect.podrig import HEAP, PodRig
from tests.collected.conftest import collected, rig  # noqa: F401  (fixtures)

RULE = f'rule heap {{ strings: $a = "{HEAP.decode()}" condition: $a }}'


def test_a_hit_has_its_owner_and_address(collected: Path, rig: PodRig, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "r.yar").write_text(RULE)
    with memir.open(collected) as node:
        rows = node.hunt(tmp_path / "r.yar").to_arrow().to_pylist()
        assert rows
        assert {(row["pid"], row["container_id"], row["pod_uid"]) for row in rows} == {
            (rig.pid, rig.container, rig.uid)
        }
        with Path(f"/proc/{rig.pid}/mem").open("rb") as memory:
            for row in rows:
                memory.seek(row["vaddr"])
                assert memory.read(len(HEAP)) == HEAP
        whole = node.hunt(tmp_path / "r.yar", scope="process").to_arrow().to_pylist()
        assert {row["vaddr"] for row in whole} == {row["vaddr"] for row in rows}
        assert node.hunt(tmp_path / "r.yar", container="web").to_arrow().num_rows == len(rows)
        with pytest.raises(UsageError, match="memory of processes alone"):
            node.hunt(tmp_path / "r.yar", kinds="kernel")
    with memir.open(collected) as node:
        assert isinstance(node, CollectedNode)
        done = hunt_collected(node.source, node.memory, compile_rules(tmp_path / "r.yar"), Options())
    assert (len(done.rows), done.stopped, done.scanned["process"] > 1 << 20) == (len(rows), False, True)
    owners = owners_of(CollectedSource(collected))
    assert owners[rig.pid].container_name == "web"


def test_units_of_a_process() -> None:
    runs = PageRuns(*np.array([[0x1000, 0x8000], [3, 2], [10, 20]], np.uint64))
    record = {"pid": 7, "links": {"exe": "/bin/x"}, "files": {"maps": "2000-9000 rw-p 00000000 00:00 0 \n"}}
    (unit,) = units_of(record, runs)
    assert (unit.name, unit.span, unit.mms) == ("process 7 region 0x2000-0x9000", 7, [7])
    assert unit.pfn.tolist() == [11, 12, 20]
    (every,) = units_of(record, runs, whole=True)
    assert (every.span, every.place.tolist()) == (8, [0, 1, 6])
