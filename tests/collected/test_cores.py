# SPDX-License-Identifier: Apache-2.0
"""The cores of a collected pod as one space of pages."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from memir.collected.cores import PAGE, Cores, segments
from memir.collected.source import CollectedSource
from memir.errors import ChangedImageError
from tests.collect.podrig import HEAP, PodRig


def test_pages_are_those_of_the_core(collected: Path, rig: PodRig) -> None:
    cores = Cores(CollectedSource(collected))
    runs = cores.runs[rig.pid]
    frames = np.concatenate(
        [np.arange(first, first + count) for first, count in zip(runs.frame, runs.count, strict=True)]
    )
    rows, ok = cores.gather(frames.astype(np.uint64) * np.uint64(PAGE), PAGE)
    assert ok.all()
    data = rows.tobytes()
    core = (collected / f"clear/memory/{rig.pid}.core").read_bytes()
    assert data == core[len(core) - len(data) :]
    assert HEAP in data
    assert cores.total == sum(int(each.count.sum()) for each in cores.runs.values())
    _, beyond = cores.gather(np.array([cores.frames * PAGE], np.uint64), 8)
    assert not beyond.any()
    cores.check_unchanged()
    assert cores.sha256() == CollectedSource(collected).digest


def test_cores_that_are_cut_or_none(collected: Path, rig: PodRig, tmp_path: Path) -> None:
    folder = tmp_path / "ev"
    shutil.copytree(collected, folder)
    path = folder / f"clear/memory/{rig.pid}.core"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 2 * PAGE])
    (folder / "clear/memory/7.core").write_bytes(b"#!/bin/sh")
    (folder / "clear/memory/8.core").write_bytes(b"")
    source = CollectedSource(folder)
    cores = Cores(source)
    counted = {gap.why: gap.count for gap in source.gaps if gap.kind == "process memory"}
    assert counted == {"the core is cut: bytes of its segments are missing": 2 * PAGE, "is no ELF core": 2}
    assert 7 not in cores.runs
    path.write_bytes(data)
    with pytest.raises(ChangedImageError):
        cores.check_unchanged()
    assert segments(np.frombuffer(data[:40], np.uint8)) == (None, 0)
