# SPDX-License-Identifier: Apache-2.0
"""Threads as /proc listed them: every id, its process, and the owner of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from memir.kernel.sched import WITNESSES
from memir.kube.ram import RamSource
from memir.tables.threads import COLUMNS, TABLE, read
from tests.images import case
from tests.test_truth import RECORDER, SLEEPER, words

NodeOf = Callable[[str], RamSource]


def recorded_threads(image: str) -> dict[int, set[int] | int]:
    """By process: ids of its threads where the recording lists them, else how many there were."""
    raw: Any = case(image).raw_truth()
    if case(image).small:
        counts = {pid: truth.threads for pid, truth in case(image).recorded().items()}
        return counts | {one["pid"]: {int(tid) for tid in one["tids"]} for one in raw["proc"] if "tids" in one}
    return {one["pid"]: one["threads"] for one in raw["tasks"]}


def test_threads_of_the_recording(image: str, node_of: NodeOf) -> None:
    rows = TABLE.read(node_of(image)).rows()
    ids: dict[int, set[int]] = {}
    for row in rows:
        ids.setdefault(row["pid"], set()).add(row["tid"])
    processes = {row.pid: row for row in node_of(image).processes.rows}
    recorded, wrong = case(image).recorded(), []
    for pid, threads in recorded_threads(image).items():
        if (
            pid not in processes
            or RECORDER.match(words(recorded[pid].args))
            or SLEEPER.match(words(recorded[pid].args))
        ):
            continue
        memory: set[int] | int = ids[pid] if isinstance(threads, set) else len(ids[pid])
        # between the recording and the image a runtime written in Go may start a thread
        later = isinstance(threads, int) and isinstance(memory, int) and memory == processes[pid].threads
        if memory != threads and not later:
            wrong.append((pid, recorded[pid].comm, memory, threads))
    assert wrong == []
    assert len(rows) == len({row["tid"] for row in rows}) >= len(processes)


def test_columns(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    frame = TABLE.read(node)
    rows = frame.rows()
    assert [row["tid"] for row in rows] == sorted(row["tid"] for row in rows)
    processes = {row.pid: row for row in node.processes.rows}
    main = [row for row in rows if row["tid"] == row["pid"]]
    assert {row["tid"]: (row["comm"], row["state"], row["seen_by"]) for row in main} == {
        pid: (process.comm, process.state, process.seen_by)
        for pid, process in processes.items()
        if process.pid == process.tgid
    }
    assert set(Counter(witness for row in rows for witness in row["seen_by"])) <= set(WITNESSES)
    assert {row["source"] for row in rows} == {"task_struct"}


def test_a_thread_is_owned_as_its_process_is(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    placed = {
        process.tgid: (identity.container_id, identity.pod_uid)
        for process, identity in zip(node.processes.rows, node.identities, strict=True)
    }
    rows = TABLE.read(node).rows()
    assert [(row["container_id"], row["pod_uid"]) for row in rows] == [placed[row["pid"]] for row in rows]
    assert any(row["pod_name"] for row in rows)
    assert {row["shared_by"] and tuple(row["shared_by"]) for row in rows} == {None}


def test_reader_gives_arrays_and_the_keys_of_owners(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    frame = read(node)
    assert frame.names == [column.name for column in COLUMNS]
    assert isinstance(frame["tid"], np.ndarray) and frame["tid"].dtype == np.int32
    assert frame.keys.tolist() == node.processes.threads.task.tolist()


def test_read_checkpoint_gives_what_its_archive_holds() -> None:
    from memir.checkpoint.source import CheckpointSource
    from memir.tables.threads import read_checkpoint
    from tests.checkpoint.sample import archive

    assert list(read_checkpoint(CheckpointSource(archive()))["tid"])[:3] == [1, 6, 7]


def test_read_collected_gives_what_its_folder_holds(tmp_path: Path) -> None:
    from memir.collected.source import CollectedSource
    from memir.tables.threads import read_collected
    from tests.collected.made import folder

    assert list(read_collected(CollectedSource(folder(tmp_path / "ev")))["tid"]) == [77]
