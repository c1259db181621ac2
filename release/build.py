# SPDX-License-Identifier: Apache-2.0
"""python -m release.build -o DIST: sdist, wheel and SBOM of this source, twice, and the same bytes both times.

SOURCE_DATE_EPOCH (seconds) dates what is inside; without it the last commit does. Packages are packed again after they
were built: entries sorted, dated, owned by nobody, with modes that no umask made: setuptools leaves these to chance.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

from release.sbom import sbom

ROOT = Path(__file__).resolve().parents[1]
_LEFT_OUT = shutil.ignore_patterns(".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", "node_modules")
_FIRST = 315_532_800
"""1980, before which a zip has no dates."""


def epoch() -> int:
    """Seconds that date the release: SOURCE_DATE_EPOCH, else the last commit's, else 1980."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return max(int(given), _FIRST)
    ran = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return max(int(ran.stdout or 0), _FIRST)


def copied(target: Path) -> Path:
    """The source that is built: what git has, or all of an unpacked sdist; never what lies about."""
    if (ROOT / ".git").exists():
        packed = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(target, filter="data")
    else:
        shutil.copytree(ROOT, target, ignore=_LEFT_OUT, dirs_exist_ok=True)
    return target


def packages(date: int, folder: Path) -> tuple[Path, Path]:
    """sdist and wheel, built from a copy of the source and packed again. date: epoch(). folder: an empty one."""
    source = copied(folder / "source")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", folder / "raw", source], check=True, stdout=subprocess.DEVNULL,
        # setuptools writes its own version into the wheel: it is a tested one too
        env={**os.environ, "SOURCE_DATE_EPOCH": str(date), "PIP_CONSTRAINT": str(source / "constraints.txt")},
    )  # fmt: skip
    (sdist,) = (folder / "raw").glob("*.tar.gz")
    (wheel,) = (folder / "raw").glob("*.whl")
    return again_tar(sdist, folder / sdist.name, date), again_zip(wheel, folder / wheel.name, date)


def again_tar(path: Path, target: Path, date: int) -> Path:
    """A tar.gz with the same files: sorted, dated, nobody's, in USTAR's successor pax."""
    out = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as new:
        for entry in sorted(old.getmembers(), key=lambda each: each.name):
            info = tarfile.TarInfo(entry.name)
            info.type, info.size, info.mtime, info.linkname = entry.type, entry.size, date, entry.linkname
            info.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            new.addfile(info, old.extractfile(entry) if entry.isfile() else None)
    target.write_bytes(gzip.compress(out.getvalue(), mtime=date))
    return target


def again_zip(path: Path, target: Path, date: int) -> Path:
    """A wheel with the same files: sorted (RECORD last, as the format asks), dated, with plain modes."""
    when = time.gmtime(date)[:6]
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in sorted(old.infolist(), key=lambda each: (each.filename.endswith("/RECORD"), each.filename)):
            info = zipfile.ZipInfo(entry.filename, when)
            info.create_system, info.compress_type = 3, zipfile.ZIP_DEFLATED
            info.external_attr = (0o100755 if entry.external_attr >> 16 & 0o100 else 0o100644) << 16
            new.writestr(info, old.read(entry))
    return target


def release(out: Path, date: int) -> dict[str, str]:
    """Build twice, compare, and keep one of each with SHA256SUMS; SHA-256 by name. SystemExit where bytes differ."""
    out.mkdir(parents=True, exist_ok=True)
    sums: list[dict[str, str]] = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as name:
            built = packages(date, Path(name))
            sums.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in built})
            for path in built:
                shutil.copy(path, out / path.name)
    if sums[0] != sums[1]:
        raise SystemExit(f"two builds differ: {sums[0]} {sums[1]}")
    kept = sums[0]
    (wheel,) = (name for name in kept if name.endswith(".whl"))
    bill = out / wheel.replace("-py3-none-any.whl", ".cdx.json")
    bill.write_text(sbom(date, wheel, kept[wheel]))
    kept[bill.name] = hashlib.sha256(bill.read_bytes()).hexdigest()
    (out / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(kept.items())))
    return kept


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="sdist, wheel and SBOM, the same bytes twice")
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"))
    for made, digest in sorted(release(parser.parse_args().output, epoch()).items()):
        sys.stdout.write(f"{digest}  {made}\n")
