# SPDX-License-Identifier: Apache-2.0
"""Whose a checkpoint is, by its documents, and what they say that cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memir.checkpoint.archive import Archive
from memir.checkpoint.container import Checkpointed, read_container, state_of
from memir.errors import ImageFormatError
from memir.gaps import Gaps
from tests.checkpoint.sample import CONTAINER, POD_UID, archive, members, pack


def read(tmp_path: Path, **documents: Any) -> tuple[Checkpointed, Gaps]:
    files = dict(members())
    for name, change in documents.items():
        raw = (
            change
            if isinstance(change, bytes)
            else json.dumps({**json.loads(files[f"{name}.dump"]), **change}).encode()
        )
        files[f"{name}.dump"] = raw
    gaps = Gaps()
    return read_container(Archive(pack(tmp_path / "a.tar", files), gaps)), gaps


def test_the_sample() -> None:
    opened = Archive(archive(), Gaps())
    known = read_container(opened)
    assert known.owner.parts() == (CONTAINER, "web", POD_UID, "web-7d9f", "shop")
    assert (known.image, known.restarts) == ("docker.io/library/busybox:1.35.0", 2)
    assert (known.runtime, known.doubts, state_of(opened)) == ("io.containerd.runc.v2", (), "running")
    assert known.created is not None
    assert known.taken is not None
    assert known.started is not None
    assert 0 < known.started - known.created < 10**9
    assert 1 < (known.taken - known.created) / 1e9 < 30


def test_cri_o_and_its_annotations(tmp_path: Path) -> None:
    spec = {"annotations": {
        "io.container.manager": "cri-o", "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.Metadata": '{"name":"api","attempt":1}', "io.kubernetes.cri-o.ContainerID": CONTAINER,
        "io.kubernetes.pod.name": "api-0", "io.kubernetes.pod.namespace": "bank", "io.kubernetes.pod.uid": POD_UID,
        "io.kubernetes.cri-o.SandboxID": "b" * 64, "io.kubernetes.cri-o.ImageName": "quay.io/bank/api:3",
    }}  # fmt: skip
    known, _ = read(tmp_path, spec=spec, status={"labels": {}})
    assert known.owner.parts() == (CONTAINER, "api", POD_UID, "api-0", "bank")
    assert (known.spec.engine, known.image) == ("cri-o", "quay.io/bank/api:3")


def test_documents_that_contradict(tmp_path: Path) -> None:
    known, _ = read(tmp_path, config={"id": "f" * 64}, status={"labels": {"io.kubernetes.pod.name": "other"}})
    assert any(doubt.startswith("container ids differ: 6f1e") for doubt in known.doubts)
    assert "pod.name differs: spec.dump web-7d9f, status.dump other" in known.doubts


def test_documents_that_are_none(tmp_path: Path) -> None:
    known, gaps = read(tmp_path, config=b"{", status=b"[1]")
    assert (known.container_id, known.taken, known.started, known.restarts) == (CONTAINER, None, None, None)
    assert {(gap.where, gap.why) for gap in gaps} == {
        ("config.dump", "not JSON"), ("status.dump", "not a JSON object"),
    }  # fmt: skip
    with pytest.raises(ImageFormatError, match=r"spec.dump is no OCI spec: nothing says whose this checkpoint is"):
        read(tmp_path, spec=b"[]")
    with pytest.raises(ImageFormatError, match=r"spec.dump is no OCI spec"):
        read(tmp_path, spec=b"[" * 100_000)


def test_deep_json_is_not_json(tmp_path: Path) -> None:
    _, gaps = read(tmp_path, config=b'{"a":' * 100_000)
    assert ("config.dump", "not JSON") in {(gap.where, gap.why) for gap in gaps}


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-29T13:14:13.054826123Z", 1795958053054826123),
        ("2026-11-29T14:14:13.5+01:00", 1795958053500000000),
        ("2026-11-29T13:14:13Z", 1795958053000000000),
        ("0001-01-01T00:00:00Z", None),
        ("2026-11-29T13:14:13", None),
        ("yesterday", None),
        (7, None),
    ],
)
def test_times(tmp_path: Path, text: Any, nanoseconds: int | None) -> None:
    known, _ = read(tmp_path, config={"checkpointedTime": text})
    assert known.taken == nanoseconds


def test_values_of_a_wrong_type(tmp_path: Path) -> None:
    known, _ = read(
        tmp_path, config={"id": "x; rm"}, status={"metadata": 3, "started_at": True, "state": 99, "id": None}
    )
    assert (known.container_id, known.restarts, known.started) == (CONTAINER, None, None)
    assert "the id in config.dump is no container's" in known.doubts
