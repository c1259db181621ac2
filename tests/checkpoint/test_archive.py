# SPDX-License-Identifier: Apache-2.0
"""Archives: the sample's, cut ones, packed ones, hostile ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from memir.checkpoint import archive as module
from memir.checkpoint.archive import Archive, is_checkpoint
from memir.errors import ChangedImageError, ImageError, ImageFormatError, UsageError
from memir.gaps import Gaps
from tests.checkpoint.sample import archive, members, pack


def test_the_sample_is_read_in_its_place() -> None:
    gaps = Gaps()
    opened = Archive(archive(), gaps)
    assert opened.read("spec.dump") == members()["spec.dump"]
    assert bytes(opened.view("checkpoint/pages-1.img")) == members()["checkpoint/pages-1.img"]
    assert opened.read("spec.dump", 4) == members()["spec.dump"][:4]
    assert opened.images("core-")[:2] == ["checkpoint/core-1.img", "checkpoint/core-6.img"]
    steps: list[int] = []
    digest = opened.sha256(lambda _, done, __: steps.append(done))
    assert digest == hashlib.sha256(archive().read_bytes()).hexdigest()
    assert steps[-1] == archive().stat().st_size
    opened.check_unchanged()
    assert (opened.missing, list(gaps)) == (0, [])
    opened.close()


def test_is_checkpoint(tmp_path: Path) -> None:
    assert is_checkpoint(archive())
    assert not is_checkpoint(pack(tmp_path / "o.tar", {"a": b"1", "node.lime": b"EMiL"}))
    assert not is_checkpoint(tmp_path / "absent.tar")
    assert not is_checkpoint("s3://bucket/checkpoint-a.tar")
    (tmp_path / "raw").write_bytes(bytes(4096))
    assert not is_checkpoint(tmp_path / "raw")
    assert not is_checkpoint(tmp_path)
    packed = tmp_path / "checkpoint-a.tar.gz"
    packed.write_bytes(gzip.compress(b"x"))
    assert is_checkpoint(packed)


def test_a_packed_one_names_the_command(tmp_path: Path) -> None:
    packed = tmp_path / "checkpoint-a.tar.gz"
    packed.write_bytes(gzip.compress(archive().read_bytes(), 1))
    with pytest.raises(UsageError, match="unpack it with `gunzip -k`"):
        Archive(packed, Gaps())


@pytest.mark.parametrize(
    ("files", "lacks"),
    [
        ({"spec.dump": b"{}"}, "checkpoint/pstree.img not in it"),
        ({"config.dump": b""}, "spec.dump and checkpoint/pstree.img"),
    ],
)  # fmt: skip
def test_a_tar_of_something_else(tmp_path: Path, files: dict[str, bytes], lacks: str) -> None:
    with pytest.raises(ImageFormatError, match=lacks):
        Archive(pack(tmp_path / "a.tar", files), Gaps())


@pytest.mark.parametrize(("data", "why"), [(b"", "is empty"), (b"text" * 400, "not a tar that can be read")])
def test_no_tar(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(ImageFormatError, match=why):
        Archive(tmp_path / "a.tar", Gaps())


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        Archive(tmp_path / "a.tar", Gaps())


def test_a_cut_one_keeps_what_came_before(tmp_path: Path) -> None:
    name = "checkpoint/pages-8.img"
    path = pack(tmp_path / "cut.tar", {key: members()[key] for key in sorted(members(), key=name.__eq__)})
    with tarfile.open(path) as tar:
        last = tar.getmember(name)
    data = path.read_bytes()
    path.write_bytes(data[: last.offset_data + 5000])
    gaps = Gaps()
    opened = Archive(path, gaps)
    assert opened.missing >= last.size - 5000
    assert len(opened.read(name)) == 5000
    assert {gap.kind for gap in gaps} == {"checkpoint archive"}
    path.write_bytes(data[:600])
    with pytest.raises(ImageFormatError, match="or it is cut before them: take the checkpoint again"):
        Archive(path, Gaps())


def test_names_and_kinds_that_are_hostile(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, data in (*members().items(), ("spec.dump", b"second"), ("../../etc/passwd", b"x")):
            entry = tarfile.TarInfo("./" + name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("checkpoint/link.img")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(link)
    gaps = Gaps()
    opened = Archive(path, gaps)
    assert opened.read("spec.dump") == members()["spec.dump"]
    assert "checkpoint/link.img" not in opened.files
    assert {gap.why for gap in gaps} == {
        "stands in it twice: the first is read",
        "neither a file nor a folder: left out",
    }
    assert not (tmp_path.parent / "etc").exists()


def test_as_many_files_as_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", len(members()))
    gaps = Gaps()
    Archive(pack(tmp_path / "a.tar", {**members(), "more": b""}), gaps)
    assert [gap.why for gap in gaps] == [f"more than {len(members())} files: the rest is left"]


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", members())
    opened = Archive(path, Gaps())
    os.utime(path, (1, 1))
    with pytest.raises(ChangedImageError, match="changed while it was read"):
        opened.check_unchanged()
    path.unlink()
    with pytest.raises(ChangedImageError, match="is gone"):
        opened.check_unchanged()
