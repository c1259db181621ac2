# SPDX-License-Identifier: Apache-2.0
"""A collected pod's folder opened: what it has, whose it is, and one that was planted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from memir.collected.source import CollectedSource
from memir.errors import CustodyError
from tests.collect.podrig import PASSWORD, PodRig


def test_what_a_folder_has(collected: Path, rig: PodRig) -> None:
    source = CollectedSource(collected)
    assert (source.kind, source.swapped, source.cluster) == ("pod", (), None)
    assert {row["pid"] for row in source.processes} >= set(rig.members())
    assert PASSWORD in source.words[rig.pid]["environ"]
    assert source.specs[rig.container].container_name == "web"
    assert source.node_facts["ticks"] > 0
    assert sorted(name for name, rest in source.below("node/mounts")) == sorted(
        path.name for path in (collected / "node/mounts").iterdir()
    )
    batch = source.owners.by("task", [rig.container, "", rig.sandbox])
    assert [batch[row][0].parts() for row in range(3)] == [
        (rig.container, "web", rig.uid, rig.name, rig.namespace), (None, None, rig.uid, rig.name, rig.namespace),
        (rig.sandbox, None, rig.uid, rig.name, rig.namespace),
    ]  # fmt: skip
    assert source.owners.by("pod_uid", [rig.uid])[0][0].container_id is None
    assert len(source.digest) == 64


def test_folders_that_are_none(collected: Path, tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match=r"no receipt\.json of a collected pod"):
        CollectedSource(tmp_path)
    planted = tmp_path / "planted"
    shutil.copytree(collected, planted)
    lines = (planted / "node/processes.jsonl").read_bytes()
    (planted / "node/processes.jsonl").write_bytes(b"no json\n[]\n" + lines + b'{"pid": "x"}\n')
    (planted / "clear/processes.jsonl").unlink()
    source = CollectedSource(planted)
    assert [row["pid"] for row in source.processes] == [row["pid"] for row in CollectedSource(collected).processes]
    assert source.words == {}
    counted = {(gap.kind, gap.why): gap.count for gap in source.gaps}
    assert counted[("row of the collection", "is no record of a process")] == 3
    assert counted[("file of the collection", "is not there")] == 1
    (planted / "node/link").symlink_to("/etc/passwd")
    with pytest.raises(CustodyError, match="is a link or device"):
        CollectedSource(planted)
