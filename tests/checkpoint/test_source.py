# SPDX-License-Identifier: Apache-2.0
"""An archive as a source of tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.checkpoint.source import CheckpointSource, OneOwner
from memir.errors import ImageFormatError
from memir.kube.owner_batch import Owner
from tests.checkpoint.sample import CONTAINER, POD_UID, archive, members, pack


def test_everything_is_the_containers() -> None:
    source = CheckpointSource(archive())
    assert (source.kind, source.name, source.cluster, list(source.swapped)) == ("checkpoint", None, None, [])
    assert source.state == "running"
    batch = source.owners.by("task", range(3))
    assert [owners[0].container_id for owners in (batch[0], batch[1], batch[2])] == [CONTAINER] * 3
    assert source.owners.by("pod_uid", [POD_UID])[0] == (Owner(None, None, POD_UID, "web-7d9f", "shop"),)
    source.close()


def test_a_key_makes_fingerprints_the_same() -> None:
    texts = set()
    for _ in range(2):
        source = CheckpointSource(archive())
        source.secret_key = bytes(32)
        texts.add(source.secrets.text("correct-horse", "DB_PASSWORD")[0])
    assert len(texts) == 1
    assert "horse" not in texts.pop()


def test_an_owner_of_nothing() -> None:
    assert len(OneOwner(Owner()).by("task", [])) == 0


def test_one_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="no process"):
        CheckpointSource(
            pack(tmp_path / "a.tar", {**members(), "checkpoint/pstree.img": bytes.fromhex("1943565430302750")})
        )
