# SPDX-License-Identifier: Apache-2.0
"""python -m tests.source_package: build the source package, unpack it, build a wheel of that, run some of its tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.images import ROOT

TESTS = ("tests/test_layers.py", "tests/test_packaging.py", "tests/test_samples.py", "tests/test_intruders.py")
IN_WHEEL = (
    "memir/py.typed", "memir/acquire/node/capture.sh", "memir/acquire/node/relay.py", "memir/hunt/rules/miners.yar",
    "memir/plugins/linux/pods.py",
)  # fmt: skip


def build(source: Path, kind: str, out: Path) -> Path:
    """A package of a source folder; kind: sdist or wheel."""
    subprocess.run([sys.executable, "-m", "build", f"--{kind}", "--outdir", out, source], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return next(path for path in out.iterdir() if path.suffix == {"sdist": ".gz", "wheel": ".whl"}[kind])


def main() -> int:
    """pytest's exit code in the unpacked package."""
    with tempfile.TemporaryDirectory() as folder:
        packed = build(ROOT, "sdist", Path(folder) / "out")
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
        unpacked = Path(folder) / packed.name.removesuffix(".tar.gz")
        wheel = build(unpacked, "wheel", Path(folder) / "wheel")
        with zipfile.ZipFile(wheel) as archive:
            lacking = set(IN_WHEEL) - set(archive.namelist())
        print(f"{packed.name}: {packed.stat().st_size >> 20} MiB; {wheel.name}: {wheel.stat().st_size >> 10} KiB")
        if lacking:
            print(f"not in the wheel: {', '.join(sorted(lacking))}")
            return 1
        environment = os.environ | {"PYTHONPATH": str(unpacked)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
        return subprocess.run(command, cwd=unpacked, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
