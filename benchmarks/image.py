# SPDX-License-Identifier: Apache-2.0
"""How fast images open, are gathered from and are scanned; and how much memory that takes.

    python benchmarks/image.py IMAGE [--s3]

From one image the same memory is written in every format beside it (in a temporary folder), then each is opened,
gathered from at random and scanned. --s3: also from a local S3 server, against one plain GET of the whole object.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from memir.image.memory import PhysicalMemory
from memir.image.open import open_image
from memir.image.write import write_avml, write_lime, write_raw

FRAME = 1 << 20


def best(call: Callable[[], Any], times: int = 3) -> float:
    """Seconds."""
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return min(found)


def write_seekable(source: Path, path: Path) -> None:
    from tests.image.files import seek_table

    pack = zstandard.ZstdCompressor(level=1, write_checksum=True)
    entries = []
    with source.open("rb") as read, path.open("wb") as out:
        while piece := read.read(FRAME):
            packed = pack.compress(piece)
            out.write(packed)
            entries.append((len(packed), len(piece)))
        out.write(seek_table(entries))


def formats(image: Path, folder: Path) -> dict[str, Path]:
    made = {name: folder / name for name in ("raw", "lime", "avml", "zstd", "seekable")}
    with open_image(image, cache=folder) as memory:
        write_raw(memory, made["raw"])
        write_lime(memory, made["lime"])
        write_avml(memory, made["avml"])
    with made["lime"].open("rb") as read, made["zstd"].open("wb") as out:
        zstandard.ZstdCompressor(level=1, write_checksum=True).copy_stream(read, out, size=made["lime"].stat().st_size)
    write_seekable(made["lime"], made["seekable"])
    return made


def addresses(memory: PhysicalMemory, count: int, align: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    rng = np.random.default_rng(1)
    parts = [rng.integers(one.start, one.end - 8192, count * one.size // memory.size + 1) for one in memory.ranges]
    every = np.concatenate(parts)
    rng.shuffle(every)
    return every[:count].astype(np.uint64) & ~np.uint64(align - 1)


def gathers(memory: PhysicalMemory) -> None:
    near = addresses(memory, 1_000_000, 8)
    odd = near + np.uint64(3)
    pages = addresses(memory, 5000, 4096)
    memory.gather_as(near, "<u8")
    rows = [
        ("1,000,000 aligned u64", len(near), lambda: memory.gather_as(near, "<u8")),
        ("1,000,000 unaligned u64", len(odd), lambda: memory.gather_as(odd, "<u8")),
        ("200,000 rows of 64 bytes", 200_000, lambda: memory.gather(near[:200_000], 64)),
        ("5,000 page tables (512 u64)", 5000, lambda: memory.gather_words(pages, 512)),
        ("1,000 gathers of one u64", 1000, lambda: [memory.gather_as(near[:1], "<u8") for _ in range(1000)]),
        ("1,000 reads of 64 bytes", 1000, lambda: [memory.read(int(pa), 64) for pa in near[:1000]]),
    ]
    for name, count, call in rows:
        seconds = best(call)
        print(f"  {name:30} {seconds * 1e3:9.1f} ms {count / seconds / 1e6:8.2f} M/s")


def scan(memory: PhysicalMemory, *, skip_zeros: bool = False) -> int:
    """Touch every page, as a search does at least."""
    return sum(int(view[::4096].sum()) for _, view in memory.views(skip_zeros=skip_zeros))


def scans(made: dict[str, Path], folder: Path) -> None:
    print(f"{'format':12} {'file MiB':>9} {'open ms':>9} {'again ms':>9} {'scan s':>8} {'again s':>8} {'MiB/s':>7}")
    for name, path in made.items():
        begin = time.perf_counter()
        memory = open_image(path, cache=folder)
        first = time.perf_counter() - begin
        again = best(lambda path=path: open_image(path, cache=folder).close())  # type: ignore[misc]  # bound now
        cold, warm = best(lambda memory=memory: scan(memory), 1), best(lambda memory=memory: scan(memory))  # type: ignore[misc]
        size = path.stat().st_size / (1 << 20)
        speed = memory.size / (1 << 20) / cold
        print(f"{name:12} {size:9.0f} {first * 1e3:9.1f} {again * 1e3:9.1f} {cold:8.2f} {warm:8.2f} {speed:7.0f}")
        memory.close()


def peak(path: Path, folder: Path) -> str:
    """Most memory without a file behind it, and most memory at all, of a process that opens and scans."""
    code = (
        "import sys; from pathlib import Path; from benchmarks.image import scan\n"
        "from memir.image.open import open_image\n"
        "scan(open_image(sys.argv[1], cache=Path(sys.argv[2])))\n"
        "fields = dict(line.split(':') for line in open('/proc/self/status'))\n"
        "print(*(int(fields[name].split()[0]) >> 10 for name in ('RssAnon', 'VmHWM')))"
    )
    root = Path(__file__).resolve().parents[1]
    run = subprocess.run(
        [sys.executable, "-c", code, str(path), str(folder)], cwd=root, capture_output=True, text=True, check=True
    )
    anonymous, whole = run.stdout.split()
    return f"{anonymous} MiB, with mapped pages {whole} MiB"


def from_s3(made: dict[str, Path], folder: Path) -> None:
    import boto3

    from tests.acquire.rigs.seaweed import ACCESS_KEY, SECRET_KEY, Seaweed

    server = Seaweed(folder / "weed")
    server.start()
    try:
        os.environ |= {
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        client = boto3.Session().client("s3")
        client.create_bucket(Bucket="images")
        for name in ("lime", "avml", "seekable"):
            client.upload_file(str(made[name]), "images", name)
            begin = time.perf_counter()
            body = client.get_object(Bucket="images", Key=name)["Body"]
            while body.read(1 << 20):
                pass
            plain = time.perf_counter() - begin
            begin = time.perf_counter()
            memory = open_image(f"s3://images/{name}", cache=folder)
            opened = time.perf_counter() - begin
            scan(memory)
            whole = time.perf_counter() - begin
            memory.close()
            size = made[name].stat().st_size / (1 << 20)
            print(
                f"s3 {name:9} {size:6.0f} MiB  plain GET {plain:5.2f} s  open {opened:5.2f} s  and scan {whole:5.2f} s"
            )
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("--s3", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="memir-bench-", dir="/var/tmp"))
    try:
        made = formats(options.image, folder)
        with open_image(made["lime"]) as memory:
            print(f"gathers from {memory.size >> 20} MiB in {len(memory.ranges)} ranges:")
            gathers(memory)
        scans(made, folder)
        for name, path in made.items():
            print(f"peak memory, {name:9} {peak(path, folder)}")
        if options.s3:
            from_s3(made, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
