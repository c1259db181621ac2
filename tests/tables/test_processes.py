# SPDX-License-Identifier: Apache-2.0
"""The table `processes` beside the recording: its own columns are tested column by column in tests/test_truth.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from memir.kube.ram import RamSource
from memir.tables.processes import COLUMNS, TABLE, read
from tests.images import case

NodeOf = Callable[[str], RamSource]


def test_rows(image: str, node_of: NodeOf) -> None:
    node, recorded = node_of(image), case(image).recorded()
    rows = {row["pid"]: row for row in TABLE.read(node).rows()}
    assert list(rows) == sorted(rows)
    for pid in rows.keys() & recorded.keys():
        row, truth = rows[pid], recorded[pid]
        assert (row["ppid"], row["uid"], row["pids"]) == (truth.ppid, truth.uid, truth.nspid), pid
        assert row["pid_in_container"] == truth.nspid[-1]
        assert row["net_ns"] == (truth.namespaces["net"] or row["net_ns"])
    assert len(rows.keys() & recorded.keys()) > len(recorded) * 0.9
    assert {row["source"].partition(";")[0] for row in rows.values()} == {"task_struct"}
    assert rows[1]["pod_uid"] is rows[1]["shared_by"] is None
    assert rows[1]["in_container"] is False


def test_frame(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    frame = read(node)
    assert set(frame.names) == {column.name for column in COLUMNS}
    assert frame["task"].tolist() == node.processes.task.tolist()
    table = TABLE.read(node)
    assert table["start_time"].type == pa.timestamp("us", "UTC")
    assert table["cap_effective"].type == pa.uint64()
    miner = next(row for row in table.rows() if row["comm"] == "secretd")
    assert (miner["namespace"], miner["pod_name"], miner["container_name"]) == ("dev", "miner-0", "miner")
    assert miner["witnesses"][0].startswith("cgroup=container:")


def test_read_checkpoint_gives_what_its_archive_holds() -> None:
    from memir.checkpoint.source import CheckpointSource
    from memir.tables.processes import read_checkpoint
    from tests.checkpoint.sample import archive

    assert list(read_checkpoint(CheckpointSource(archive()))["pid"])[:3] == [1, 6, 7]


def test_read_collected_gives_what_its_folder_holds(tmp_path: Path) -> None:
    from memir.collected.source import CollectedSource
    from memir.tables.processes import read_collected
    from tests.collected.made import folder

    assert list(read_collected(CollectedSource(folder(tmp_path / "ev")))["comm"]) == ["nginx"]
