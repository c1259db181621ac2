# SPDX-License-Identifier: Apache-2.0
"""The table `pods` holds the node's pods and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memir.kube.ram import RamSource
from memir.tables.pods import COLUMNS, TABLE, read
from tests.images import case
from tests.test_truth import _expected_ids

NodeOf = Callable[[str], RamSource]


def test_rows(image: str, node_of: NodeOf) -> None:
    rows = TABLE.read(node_of(image)).rows()
    expected = {(uid, pod, namespace) for uid, pod, namespace, _ in _expected_ids(image).values() if uid}
    expected |= {(pod["pod_uid"], pod["pod_name"], None) for pod in case(image).labels()["pods"]}
    assert {(row["pod_uid"], row["pod_name"], row["namespace"]) for row in rows} == expected
    assert len(rows) == len(expected)
    assert {(row["container_id"], row["container_name"], row["shared_by"]) for row in rows} == {(None, None, None)}
    assert {row["seen_in"] for row in rows} == {"ram"}


def test_frame(node_of: NodeOf) -> None:
    frame = read(node_of("s-6.1-small"))
    assert set(frame.names) == {column.name for column in COLUMNS}
    shown = dict(zip(frame["pod_uid"], frame["qos"], strict=True))
    assert shown["aaaaaaaa-1111-4111-8111-0123456789ab"] == "Burstable"
    assert all("cgroup" in source.split("; ") for source in frame["source"])


def test_read_checkpoint_gives_what_its_archive_holds() -> None:
    from memir.checkpoint.source import CheckpointSource
    from memir.tables.pods import read_checkpoint
    from tests.checkpoint.sample import archive

    assert list(read_checkpoint(CheckpointSource(archive()))["qos"])[:3] == ["BestEffort"]


def test_read_collected_gives_what_its_folder_holds(tmp_path: Path) -> None:
    from memir.collected.source import CollectedSource
    from memir.tables.pods import read_collected
    from tests.collected.made import folder

    assert list(read_collected(CollectedSource(folder(tmp_path / "ev")))["seen_in"]) == ["both"]
