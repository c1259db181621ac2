# SPDX-License-Identifier: Apache-2.0
"""Archives on the node into the stream; links and what is no file are not read."""

from __future__ import annotations

import io
from pathlib import Path

from memir.collect.node.archive import write_archives
from memir.collect.node.collector import collect
from memir.collect.node.frames import Frames
from tests.collect.streams import items


def test_archives(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"archive" * 1000)
    (tmp_path / "link.tar").symlink_to("a.tar")
    (tmp_path / "folder.tar").mkdir()
    given = {name: str(tmp_path / f"{name}.tar") for name in ("a", "link", "folder", "none")}
    out = io.BytesIO()
    frames = Frames(out)
    write_archives(frames, given)
    frames.end({})
    files, end = items(out.getvalue())
    assert set(files) == {"clear/checkpoints/a.tar"}
    assert files["clear/checkpoints/a.tar"][0] == b"archive" * 1000
    assert {gap["where"].rpartition("/")[2] for gap in end["gaps"] if gap["missing"]} == {
        "link.tar", "folder.tar", "none.tar",
    }  # fmt: skip
    out = io.BytesIO()
    collect(Frames(out), {"uid": "u", "containers": [], "archives": {"a": given["a"]}})
    assert set(items(out.getvalue())[0]) == {"clear/checkpoints/a.tar"}, "nothing else is collected"
