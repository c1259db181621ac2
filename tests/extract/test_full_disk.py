# SPDX-License-Identifier: Apache-2.0
"""A disk that is really full: a file system of two megabytes, mounted in a namespace of the test's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.images import ROOT, case
from tests.longer import not_here

_SCRIPT = """
mount -t tmpfs -o size=2m tmpfs "$1" && shift && "$@"
code=$?
cp -r "$PLACE/out" "$KEEP"
exit $code
"""


@pytest.mark.parametrize("more", [[], ["--tar"], ["memory"]])
def test_ends_with_one_line_and_what_is_written_is_listed(tmp_path: Path, more: list[str]) -> None:
    unshare = shutil.which("unshare")
    place, keep = tmp_path / "small", tmp_path / "kept"
    place.mkdir()
    if unshare is None or subprocess.run([unshare, "-Urm", "true"], check=False, capture_output=True).returncode:
        not_here("a mount namespace of one's own (unshare)")
    verb = ["memory", *more[1:]] if "memory" in more else ["files", *more]
    image = str(case("s-6.1-small").image)
    command = [sys.executable, "-m", "memir", "extract", *verb, image, "-o", str(place / "out"), "--container", "miner"]
    ran = subprocess.run(
        [unshare, "-Urm", "sh", "-c", _SCRIPT, "sh", str(place), *command], capture_output=True, text=True, check=False,
        cwd=ROOT, env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "PLACE": str(place), "KEEP": str(keep),
                       "HOME": str(tmp_path), "MEMIR_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    lines = ran.stderr.splitlines()
    assert ran.returncode == 3 and len(lines) == 1, ran.stderr
    assert "cannot be written on: No space left on device; " in lines[0]
    assert "kept and listed in manifest.json" in lines[0]
    manifest = json.loads((keep / "manifest.json").read_text())
    assert manifest["stopped"] == "No space left on device"
    listed = manifest["processes" if "memory" in more else "files"]
    names = {entry["file"].split(":")[0] for entry in listed if entry["file"]}
    there = {str(path.relative_to(keep)) for path in keep.rglob("*") if path.is_file()} - {"manifest.json"}
    assert there >= names and (names or "memory" not in more)
    if "--tar" in more:
        with tarfile.open(keep / "dev_miner-0_miner.tar") as tar:
            assert {f"dev_miner-0_miner.tar:{name}" for name in tar.getnames()} >= {
                entry["file"] for entry in listed if entry["file"]
            }
    else:
        assert there == names
