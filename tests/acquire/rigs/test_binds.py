# SPDX-License-Identifier: Apache-2.0
"""What is bound into a rig cannot be written or removed through it, nor what is mounted below it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acquire.rigs.binds import bind, mounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """(folder with a file, a device and a mount with a file; where it is bound)."""
    source, target = tmp_path / "of this machine", tmp_path / "rig"
    (source / "inner").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "inner", source / "inner"], check=True)
    (source / "passwd").write_text("root:x:0:0")
    (source / "inner/file").write_text("kept")
    subprocess.run(["mknod", "-m", "666", source / "null", "c", "1", "3"], check=True)
    target.mkdir()
    bind(source, target)
    yield source, target
    for place in (target, source / "inner"):
        subprocess.run(["umount", "-R", "-l", place], check=True)


def test_nothing_is_written_or_removed_through_it(bound: tuple[Path, Path]) -> None:
    source, target = bound
    assert mounts(target) == [target, target / "inner"]
    shutil.rmtree(target, ignore_errors=True)
    for name in ("new", "inner/new"):
        with pytest.raises(OSError, match="Read-only file system"):
            (target / name).write_text("x")
    assert sorted(path.relative_to(source).as_posix() for path in source.rglob("*")) == [
        "inner", "inner/file", "null", "passwd",
    ]  # fmt: skip
    assert (target / "inner/file").read_text() == "kept"
    (target / "null").write_bytes(b"devices take what is written")
    assert mounts(source / "no mount") == []
