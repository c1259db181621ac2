# SPDX-License-Identifier: Apache-2.0
"""The OCI image: a layout whose digests hold; in the long run a Debian root in which memir analyses a sample."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from memir import __version__
from release.build import epoch, packages
from release.oci_image import blob, install, kept, layer, layout
from tests.images import ROOT
from tests.longer import not_here

DATE = 1_700_000_000


def small_root(folder: Path) -> Path:
    (folder / "usr/bin").mkdir(parents=True)
    (folder / "proc").mkdir()
    (folder / "proc/x").write_text("of this machine")
    (folder / "usr/bin/run").write_text("#!/bin/sh\n")
    (folder / "usr/bin/run").chmod(0o755)
    (folder / "bin").symlink_to("usr/bin")
    return folder


def read(image: bytes) -> tuple[dict[str, bytes], dict[str, Any], dict[str, Any], bytes]:
    """Entries, manifest, config and the unpacked layer of a layout, each digest and size checked."""
    with tarfile.open(fileobj=io.BytesIO(image)) as archive:
        entries = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]

    def follow(descriptor: dict[str, Any]) -> bytes:
        data = entries[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
        assert (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}") == (descriptor["size"], descriptor["digest"])
        return data

    (top,) = json.loads(entries["index.json"])["manifests"]
    manifest = json.loads(follow(top))
    config = json.loads(follow(manifest["config"]))
    (packed,) = manifest["layers"]
    data = follow(packed)
    tar = zstandard.decompress(data) if packed["mediaType"].endswith("+zstd") else gzip.decompress(data)
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(tar).hexdigest()}"]
    assert len(entries) == 5 and json.loads(entries["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    return entries, manifest, config, tar


def test_a_layout_holds_and_is_the_same_twice(tmp_path: Path) -> None:
    root = small_root(tmp_path / "root")
    image = layout(layer(root, DATE), DATE, "1.2", "x86_64")
    assert image == layout(layer(root, DATE), DATE, "1.2", "x86_64")
    _, manifest, config, tar = read(image)
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert (config["architecture"], config["os"], config["created"]) == ("amd64", "linux", "2023-11-14T22:13:20Z")
    assert config["config"]["Entrypoint"] == ["/usr/local/bin/memir"]
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        names = {entry.name: entry for entry in archive}
    assert set(names) == {"bin", "proc", "usr", "usr/bin", "usr/bin/run"}
    assert names["bin"].linkname == "usr/bin" and names["usr/bin/run"].mode == 0o755
    assert max(entry.mtime for entry in names.values()) <= DATE


def test_a_layer_of_zstd_is_the_same_tar(tmp_path: Path) -> None:
    tar = layer(small_root(tmp_path), DATE)
    _, manifest, _, unpacked = read(layout(tar, DATE, "1.2", "aarch64", zstd=True))
    assert manifest["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd" and unpacked == tar


def test_what_no_run_reads_stays_out() -> None:
    inside = (
        "usr/share/doc/bash/copyright", "usr/share/doc/bash", "usr/share/man", "usr/bin/python3.11", "var/cache",
        "opt/memir/memir/acquire/node/helper.c", "opt/memir/numpy/testing/__init__.py", "opt/memir/tests.py",
        "opt/memir/duckdb-1.dist-info/licenses/LICENSE",
    )  # fmt: skip
    outside = (
        "usr/share/doc/bash/README.gz", "usr/share/man/man1/ls.1.gz", "usr/share/locale/de/x.mo", "proc/x", "var/log/x",
        "opt/memir/pyarrow/tests/test_io.py", "opt/memir/pyarrow/include/arrow/api.h", "opt/memir/bin/vol",
        "opt/memir/numpy/__init__.pyi", "opt/memir/memir/__pycache__/text.cpython-311.pyc",
    )  # fmt: skip
    assert [name for name in inside if not kept(name)] == []
    assert [name for name in outside if kept(name)] == []


def test_a_descriptor_describes() -> None:
    described, (name, data) = blob(b"x", "text/plain")
    digest = hashlib.sha256(b"x").hexdigest()
    assert described == {"mediaType": "text/plain", "digest": f"sha256:{digest}", "size": 1}
    assert (name, data) == (f"blobs/sha256/{digest}", b"x")


def test_a_root_without_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no Python 3"):
        install(small_root(tmp_path), ROOT / "memir.whl")


@pytest.mark.long("a Debian root, and memir's dependencies for it: some minutes")
def test_memir_analyses_in_the_image(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        not_here("debootstrap as root, for the OCI image")
    root, dist = tmp_path / "root", tmp_path / "dist"
    subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", "bookworm", root],
        check=True, timeout=1500,
    )  # fmt: skip
    dist.mkdir()
    _, wheel = packages(epoch(), dist)
    assert wheel.name == f"memir-{__version__}-py3-none-any.whl"
    packed = tmp_path / "memir.tar"
    subprocess.run(
        [sys.executable, "-m", "release.oci_image", root, wheel, "-o", packed], cwd=ROOT, check=True, timeout=1500
    )
    _, _, _, tar = read(packed.read_bytes())
    unpacked = tmp_path / "unpacked"
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        archive.extractall(unpacked, filter="tar")
    shutil.copy(ROOT / "samples/s-6.1-small.raw.zst", unpacked / "node.raw.zst")
    (unpacked / "tmp").mkdir(exist_ok=True)
    ran = subprocess.run(
        ["chroot", unpacked, "/usr/local/bin/memir", "analyze", "/node.raw.zst", "-o", "/case", "--cache", "/cache"],
        capture_output=True, text=True, check=False, timeout=900,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Kernel      6.1" in ran.stdout and "Gaps: none" in ran.stdout
    assert (unpacked / "case/tables/processes.parquet").is_file()
