# SPDX-License-Identifier: Apache-2.0
"""The table `containers` holds every container that the node itself knew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memir.kube.ram import RamSource
from memir.tables.containers import COLUMNS, TABLE, read
from tests.test_truth import _expected_ids

NodeOf = Callable[[str], RamSource]


def test_rows(image: str, node_of: NodeOf) -> None:
    rows = {row["container_id"]: row for row in TABLE.read(node_of(image)).rows()}
    for container, (uid, pod, namespace, name) in _expected_ids(image).items():
        row = rows[container]
        assert (row["pod_uid"], row["pod_name"], row["namespace"]) == (uid, pod, namespace)
        assert row["container_name"] == name or uid is None
        assert row["shared_by"] is None
        assert row["seen_in"] == "ram"
    assert sum(row["processes"] for row in rows.values()) == len([
        identity for identity in node_of(image).identities if identity.container_id
    ])  # fmt: skip


def test_doubts_stand_with_the_source(node_of: NodeOf) -> None:
    node = node_of("s-6.12-intruded")
    frame = read(node)
    # the registry puts them in order
    assert sorted(frame.names) == sorted(column.name for column in COLUMNS)
    for row, source in zip(node.containers.values(), frame["source"], strict=True):
        assert source.split("; ")[: len(row.sources)] == row.sources
        assert [part for part in source.split("; ") if part.startswith("doubt: ")] == [
            f"doubt: {doubt}" for doubt in row.doubts
        ]


def test_read_checkpoint_gives_what_its_archive_holds() -> None:
    from memir.checkpoint.source import CheckpointSource
    from memir.tables.containers import read_checkpoint
    from tests.checkpoint.sample import archive

    assert list(read_checkpoint(CheckpointSource(archive()))["restarts"])[:3] == [2]


def test_read_collected_gives_what_its_folder_holds(tmp_path: Path) -> None:
    from memir.collected.source import CollectedSource
    from memir.tables.containers import read_collected
    from tests.collected.made import folder

    assert list(read_collected(CollectedSource(folder(tmp_path / "ev")))["image"]) == ["web@sha256:00"]
