# SPDX-License-Identifier: Apache-2.0
"""Processor time and own memory of `memir analyze` on a node of 64 GiB with 2,000 processes and 1,000,000 files.

    python -m benchmarks.large_node [--image FILE | --gib 64 --processes 2000 --pods 100 --files 1000000] [--runs 3]

Without an image one is made: Debian's 6.1 kernel boots in software emulation (tests/lab/small/big.sh: QEMU, gcc, apt;
no root; a quarter of an hour) with its RAM in a sparse file, of which some 2.5 GiB are stored. All tables but secrets.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def build(options: argparse.Namespace) -> Path:
    """The RAM of the node that was asked for, kept in the cache."""
    from tests.images import cache

    work = cache() / "lab" / "small"
    name = f"big-{options.gib}-{options.processes}-{options.pods}-{options.files}.raw"
    image = work.with_name("big") / name
    if image.is_file():
        return image
    scripts, environment = ROOT / "tests/lab/small", os.environ | {"M": str(work)}
    for folder in (work, image.parent):
        folder.mkdir(parents=True, exist_ok=True)
    if not (work / "k" / "6.1").is_dir():
        subprocess.run(["bash", scripts / "fetch-debs.sh", "bookworm"], check=True, env=environment)
    words = [f"{word}={getattr(options, word)}" for word in ("processes", "pods", "files")]
    part = image.with_suffix(".part")
    subprocess.run(["bash", scripts / "big.sh", part, "6.1", str(options.gib), *words], check=True, env=environment)
    part.replace(image)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path)
    for name, value in (("gib", 64), ("processes", 2000), ("pods", 100), ("files", 1_000_000), ("runs", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    from benchmarks.analyze import private_memory

    image = options.image or build(options)
    runs = [private_memory(image, "--no-secrets") for _ in range(options.runs)]
    peak, seconds = max(peak for peak, _ in runs), statistics.median(seconds for _, seconds in runs)
    print(f"{image.name}: {seconds:.1f} s of processor time (median of {len(runs)}), own memory {peak:.0f} MiB at most")


if __name__ == "__main__":
    main()
