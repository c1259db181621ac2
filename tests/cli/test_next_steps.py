# SPDX-License-Identifier: Apache-2.0
"""What memir's messages say to do next is done here, as printed, and then the problem is gone: images and archives."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.advice import advised, done
from tests.cli.conftest import Memir
from tests.image.test_kdump import _core
from tests.images import ROOT, case

SAMPLE = case("s-6.1-small").image
NAME = "node's RAM"
"""Of the files below: with a space and a quote, so that advice that is not quoted for the shell cannot be done."""


def in_tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("first.raw.zst", "second.raw.zst"):
            archive.add(SAMPLE, name)


def in_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("first.raw.zst", "second.raw.zst"):
            archive.write(SAMPLE, name)


@pytest.mark.parametrize(("kind", "pack", "program"), [("tar", in_tar, "tar"), ("zip", in_zip, "unzip")])
def test_an_archive_of_two_images(
    kind: str, pack: Callable[[Path], None], program: str, memir: Memir, tmp_path: Path
) -> None:
    archive = tmp_path / f"{NAME}.{kind}"
    pack(archive)
    ran = memir("info", archive)
    assert (ran.code, "'first.raw.zst', 'second.raw.zst'" in ran.err) == (3, True)
    done(advised(ran.err, program, MEMBER="second.raw.zst"), tmp_path, memir)
    assert (tmp_path / "second.raw.zst").read_bytes() == SAMPLE.read_bytes()
    assert memir("info", tmp_path / "second.raw.zst").code == 0


def packed_by_7z(path: Path) -> None:
    assert shutil.which("7z"), "please install p7zip-full"
    shutil.copy(SAMPLE, path.with_name("inner.raw.zst"))
    subprocess.run(["7z", "a", "-mx0", str(path), "inner.raw.zst"], cwd=path.parent, check=True, capture_output=True)
    path.with_name("inner.raw.zst").unlink()


def test_a_7z_archive(memir: Memir, tmp_path: Path) -> None:
    archive = tmp_path / f"{NAME}.7z"
    packed_by_7z(archive)
    ran = memir("info", archive)
    assert ran.code == 3
    done(advised(ran.err, "7z x", FILE=archive), tmp_path, memir)
    assert memir("info", tmp_path / "inner.raw.zst").code == 0


def test_a_packed_checkpoint(memir: Memir, tmp_path: Path) -> None:
    """It is not read in its place, as a packed image is: the message says so, and how it is unpacked."""
    packed = tmp_path / f"{NAME}.tar.zst"
    shutil.copy(ROOT / "samples" / "checkpoint-web-7d9f_shop-web.tar.zst", packed)
    ran = memir("info", packed)
    assert ran.code == 3
    done(advised(ran.err, "zstd -d"), tmp_path, memir)
    whole = memir("info", packed.with_suffix(""))
    assert "(CRIU), not a node's RAM: `memir analyze` and `memir hunt` read it" in whole.err
    assert memir("analyze", packed.with_suffix(""), "-o", tmp_path / "case", "--tables", "processes").code == 0


def test_a_split_dump_is_joined(memir: Memir, tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(_core())
    parts = [tmp_path / "part 1", tmp_path / "part 2"]
    split = [makedumpfile(), "-c", "-d", "0", "--split", str(tmp_path / "core"), *map(str, parts)]
    subprocess.run(split, check=True, capture_output=True, timeout=300)
    ran = memir("info", parts[0])
    assert ran.code == 3
    words = advised(ran.err, "makedumpfile", WHOLE=tmp_path / "whole")
    place = words.index("PART...")
    done([makedumpfile(), *words[1:place], *map(str, parts), *words[place + 1 :]], tmp_path, memir)
    whole = memir("info", tmp_path / "whole")
    assert (whole.code, "100.0 %" in whole.out) == (0, True), whole.out + whole.err


def test_pages_that_makedumpfile_left_out_are_there_at_level_0(memir: Memir, tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(_core())
    command = [makedumpfile(), "-c", "-d", "31", str(tmp_path / "core"), str(tmp_path / "few")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    ran = memir("info", tmp_path / "few")
    assert ran.code == 3
    words = advised(ran.out + ran.err, "makedumpfile")
    done([makedumpfile(), *words[1:], str(tmp_path / "core"), str(tmp_path / "all")], tmp_path, memir)
    whole = memir("info", tmp_path / "all")
    assert (whole.code, "100.0 %" in whole.out, "left pages out" in whole.out) == (0, True, False), whole.out


def makedumpfile() -> str:
    program = shutil.which("makedumpfile") or shutil.which("makedumpfile", path="/usr/sbin:/sbin")
    assert program, "please install makedumpfile"
    return program


def test_another_cache(memir: Memir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file where the cache's folder should be")
    (tmp_path / "node.raw.gz").write_bytes(gzip.compress(bytes(1 << 20)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    ran = memir("info", tmp_path / "node.raw.gz")
    assert (ran.code, "choose another folder with --cache" in ran.err) == (3, True), ran.err
    other = memir("info", tmp_path / "node.raw.gz", "--cache", tmp_path / "cache")
    assert "--cache" not in other.err
    assert "no Linux kernel found" in other.err  # it was unpacked and read: a MiB of zeros
