# SPDX-License-Identifier: Apache-2.0
"""Packages are packed again to the same bytes; the whole release is built twice in the long run."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from memir import __version__
from release.build import again_tar, again_zip, copied, epoch
from tests.images import ROOT

DATE = 1_700_000_000


def a_tar(path: Path, order: list[str], date: int, mode: int, owner: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in order:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode, info.uname = len(name), date, mode, owner
            archive.addfile(info, io.BytesIO(name.encode()))
    return path


def test_source_packages_of_the_same_files_are_the_same(tmp_path: Path) -> None:
    one = again_tar(a_tar(tmp_path / "a", ["x/b", "x/a"], 5, 0o664, "me"), tmp_path / "1", DATE)
    two = again_tar(a_tar(tmp_path / "b", ["x/a", "x/b"], 99, 0o600, "you"), tmp_path / "2", DATE)
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as archive:
        assert [(entry.name, entry.mtime, entry.mode, entry.uname) for entry in archive] == [
            ("x/a", DATE, 0o644, ""), ("x/b", DATE, 0o644, ""),
        ]  # fmt: skip
        assert archive.extractfile("x/a").read() == b"x/a"  # type: ignore[union-attr]  # a file


def a_zip(path: Path, order: list[str], year: int, mode: int) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in order:
            info = zipfile.ZipInfo(name, (year, 1, 2, 3, 4, 6))
            info.external_attr = mode << 16
            archive.writestr(info, name)
    return path


def test_wheels_of_the_same_files_are_the_same(tmp_path: Path) -> None:
    names = ["m/a.py", "m.dist-info/RECORD", "m/run.sh"]
    one = again_zip(a_zip(tmp_path / "a", names, 2020, 0o100664), tmp_path / "1", DATE)
    two = again_zip(a_zip(tmp_path / "b", names[::-1], 2024, 0o100600), tmp_path / "2", DATE)
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert archive.namelist() == ["m/a.py", "m/run.sh", "m.dist-info/RECORD"]
        assert archive.infolist()[0].date_time == (2023, 11, 14, 22, 13, 20)
        assert archive.infolist()[0].external_attr >> 16 == 0o100644


def test_the_date_is_the_one_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(DATE))
    assert epoch() == DATE
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert epoch() == 315_532_800
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert epoch() >= 315_532_800


def test_what_lies_about_is_not_built(tmp_path: Path) -> None:
    source = copied(tmp_path)
    assert (source / "memir/__init__.py").is_file() and (source / "pyproject.toml").is_file()
    assert not (source / ".git").exists() and not (source / ".venv").exists()


@pytest.mark.long("builds packages twice: a minute")
def test_a_release_is_the_same_twice_and_installs(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    subprocess.run(
        [sys.executable, "-m", "release.build", "-o", out], cwd=ROOT, check=True, timeout=900,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(DATE)},
    )  # fmt: skip
    wheel, bill = out / f"memir-{__version__}-py3-none-any.whl", out / f"memir-{__version__}.cdx.json"
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["SHA256SUMS", wheel.name, bill.name, f"memir-{__version__}.tar.gz"]
    )
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=True)
    document = json.loads(bill.read_text())
    assert document["metadata"]["component"]["hashes"][0]["content"] == hashlib.sha256(wheel.read_bytes()).hexdigest()
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
        archive.extractall(tmp_path / "installed")
    ran = subprocess.run(
        [sys.executable, "-c", "import memir; print(memir.__file__)"], capture_output=True, text=True, check=True,
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
    )  # fmt: skip
    assert ran.stdout.startswith(str(tmp_path / "installed"))
