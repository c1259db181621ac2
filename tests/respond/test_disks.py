# SPDX-License-Identifier: Apache-2.0
"""Where the folders lie: nodes as EKS lays them out, and a case of a real image."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from memir.case.case import Case
from memir.respond.disks import case_folders, folders_of, words_of
from memir.respond.findings import finding_clue
from memir.respond.plan import NodeFolder
from tests.respond.steps.facts import FACTS

# findmnt of AL2023 on an m5d.large, localStorage RAID0: https://github.com/awslabs/amazon-eks-ami nodeadm
ROOT = ("/", "259:3", "/dev/nvme0n1p1")
ARRAY = [ROOT, ("/mnt/k8s-disks/0", "9:127", "/dev/md127"), ("/var/lib/containerd", "9:127", "/dev/md127"),
         ("/var/lib/kubelet", "9:127", "/dev/md127"), ("/var/lib/containerd/x", "0:9", "overlay")]  # fmt: skip
DATA = [ROOT, ("/var/lib", "259:5", "/dev/nvme1n1")]


def words(mounts: list[tuple[str, str, str]], volumes: int = 1, store: int = 75) -> list[str]:
    facts = dataclasses.replace(FACTS, volumes=FACTS.volumes[:volumes], instance_store=store)
    return [text.partition(":")[0] for text in words_of(folders_of(mounts, "case-1"), facts)]


def test_each_layout() -> None:
    assert folders_of(ARRAY, "c") == (
        NodeFolder("/var/lib/containerd", "9:127", "/dev/md127", False, "c"),
        NodeFolder("/var/lib/kubelet", "9:127", "/dev/md127", False, "c"),
    )
    assert [folder.on_root for folder in folders_of([ROOT], "c")] == [True, True]
    assert folders_of(ARRAY[1:], "c") == ()  # no root: not a node's own mounts
    assert words(ARRAY, 2) == ["NOT IN ANY SNAPSHOT"] * 2
    assert words(DATA, 1) == ["NOT IN ANY SNAPSHOT"] * 2  # the one EBS volume is the root's
    assert words(DATA, 2) == ["MAY BE IN NO SNAPSHOT"] * 2
    assert words([ROOT])[0].startswith("/var/lib/containerd is on the root volume, /dev/nvme0n1p1 (259")
    assert words(ARRAY, store=0) == []
    assert words([]) == ["A m5d.large HAS 75 GB OF INSTANCE STORE"]


def test_of_a_case(intruded_case: Path) -> None:
    """Its node runs from a tmpfs: all lies on the root, which has no device of a disk."""
    folders = case_folders(Case(intruded_case))
    assert [(each.folder, each.device, each.device_name, each.on_root) for each in folders] == [
        ("/var/lib/containerd", "0:22", "root", True), ("/var/lib/kubelet", "0:22", "root", True),
    ]  # fmt: skip
    assert {each.witness for each in folders} == {str(intruded_case)}
    assert finding_clue(f"{intruded_case}:{Case(intruded_case)['findings']['id'][0]}").folders == folders
    some = Case(intruded_case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Case, "tables", ("processes",))
        assert case_folders(some) == ()
