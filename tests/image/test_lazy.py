# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from memir.errors import ImageError
from memir.image.lazy import PAGE, LazyBacking, is_zero, scratch_folder
from tests.image.files import noise

SIZE, CHUNK = 300_000, 7_000
DATA = noise(SIZE)


def backing(folder: Path, calls: list[int] | None = None, **options: int) -> LazyBacking:
    """Chunks of an odd size, so that pages are shared."""

    def load(which: int) -> bytes:
        if calls is not None:
            calls.append(which)
        return DATA[which * CHUNK : (which + 1) * CHUNK]

    return LazyBacking.even(SIZE, CHUNK, load, folder, **options)


@pytest.mark.parametrize("workers", [0, 3])
def test_only_what_is_asked_for_is_loaded(tmp_path: Path, workers: int) -> None:
    calls: list[int] = []
    lazy = backing(tmp_path, calls, workers=workers)
    lazy.ensure(np.array([0, 6_999, 14_000, 290_000]), 1)
    assert sorted(calls) == [0, 2, 41]
    lazy.ensure(np.array([6_998]), 4)
    assert sorted(calls) == [0, 1, 2, 41]
    lazy.ensure(np.array([100]), 30_000)
    assert sorted(calls) == [0, 1, 2, 3, 4, 41]
    lazy.ensure_range(20_999, 21_001)
    lazy.ensure_range(50, 50)
    lazy.ensure(np.zeros(0, np.int64), 8)
    assert sorted(calls) == [0, 1, 2, 3, 4, 41]
    assert lazy.data[:30_000].tobytes() == DATA[:30_000]
    lazy.ensure_range(0, SIZE)
    assert sorted(calls) == list(range(43))
    assert lazy.data.tobytes() == DATA
    assert not lazy.data.flags.writeable


@pytest.mark.parametrize("size", [1, 8, PAGE, PAGE + 1, 20_000])
def test_what_was_asked_for_is_valid(tmp_path: Path, size: int) -> None:
    rng = random.Random(size)
    lazy = backing(tmp_path)
    for _ in range(200):
        index = np.array([rng.randrange(SIZE - size) for _ in range(rng.randrange(1, 4))])
        lazy.ensure(index, size)
        for at in index.tolist():
            assert lazy.data[at : at + size].tobytes() == DATA[at : at + size]


def test_threads_load_each_chunk_once(tmp_path: Path) -> None:
    calls: list[int] = []
    lazy = backing(tmp_path, calls)

    def work(seed: int) -> bool:
        rng = random.Random(seed)
        good = True
        for _ in range(150):
            at = rng.randrange(SIZE - 100)
            if rng.random() < 0.5:
                lazy.ensure(np.array([at]), 100)
            else:
                lazy.ensure_range(at, at + 100)
            good &= lazy.data[at : at + 100].tobytes() == DATA[at : at + 100]
        return good

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert len(calls) == len(set(calls))


def test_chunks_load_side_by_side(tmp_path: Path) -> None:
    together = threading.Barrier(4, timeout=20)

    def load(which: int) -> bytes:
        together.wait()
        return bytes([which]) * 100

    lazy = LazyBacking.even(400, 100, load, tmp_path, workers=4)
    lazy.ensure_range(0, 400)
    assert lazy.data[::100].tolist() == [0, 1, 2, 3]
    lazy.close()


def test_a_reader_in_order_is_read_ahead_of(tmp_path: Path) -> None:
    calls: list[int] = []
    lazy = backing(tmp_path, calls, workers=2, ahead=4)
    lazy.ensure_range(0, 10)
    lazy.ensure_range(5, 6_000)
    assert calls == [0]  # to look at the start is not yet to read in order
    lazy.ensure_range(6_000, 10_000)
    deadline = time.monotonic() + 20
    while len(calls) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(calls) == [0, 1, 2, 3, 4, 5]
    lazy.close()
    far: list[int] = []
    lazy = backing(tmp_path, far, workers=2, ahead=4)
    lazy.ensure_range(0, 10)
    lazy.ensure_range(200_000, 200_010)
    time.sleep(0.1)
    assert far == [0, 28]
    lazy.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_load_that_fails_is_tried_again(tmp_path: Path, workers: int) -> None:
    fail = {3}

    def load(which: int) -> bytes:
        if which in fail:
            raise ImageError("chunk 3 is broken")
        return bytes([which]) * 10

    lazy = LazyBacking.even(60, 10, load, tmp_path, workers=workers)
    for _ in range(2):
        with pytest.raises(ImageError, match="chunk 3 is broken"):
            lazy.ensure_range(0, 60)
    lazy.ensure_range(0, 30)
    fail.clear()
    lazy.ensure_range(0, 60)
    assert lazy.data[::10].tolist() == [0, 1, 2, 3, 4, 5]


def test_absent_chunks(tmp_path: Path) -> None:
    lazy = LazyBacking.even(4 * PAGE, PAGE, lambda which: None if which % 2 else b"x" * PAGE, tmp_path)
    assert lazy.absent is None
    lazy.ensure_range(0, 4 * PAGE)
    assert lazy.absent is not None
    assert lazy.absent.tolist() == [False, True, False, True]
    assert not lazy.data[PAGE : 2 * PAGE].any()


@pytest.mark.parametrize("give", [b"", b"x" * 9, b"x" * 11])
def test_a_loader_that_gives_another_size(tmp_path: Path, give: bytes) -> None:
    lazy = LazyBacking.even(20, 10, lambda which: give, tmp_path)
    with pytest.raises(ImageError, match=f"chunk 1 gave {len(give)} bytes, 10 were promised"):
        lazy.ensure_range(10, 11)


def test_zeros_stay_holes_and_nothing_stays_behind(tmp_path: Path) -> None:
    lazy = LazyBacking.even(64 << 20, 1 << 20, lambda which: bytes(1 << 20), tmp_path)
    lazy.ensure_range(0, 64 << 20)
    assert not lazy.data.any()
    assert list(tmp_path.iterdir()) == []
    assert os.fstat(lazy._scratch.fileno()).st_blocks == 0


@pytest.mark.parametrize("size", [1 << 62, 1 << 64, 1 << 46])
def test_absurd_sizes(tmp_path: Path, size: int) -> None:
    with pytest.raises(ImageError, match=f"no scratch space of {size} bytes in {tmp_path}"):
        LazyBacking(size, np.zeros(1, np.int64), lambda which: None, tmp_path)


def test_a_scratch_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ImageError, match=r"no scratch space of 10 bytes in .*file"):
        LazyBacking.even(10, 10, lambda which: None, tmp_path / "file")


FULL = """
import resource, signal, sys
from pathlib import Path
from memir.errors import ImageError
from memir.image.lazy import LazyBacking
lazy = LazyBacking.even(4 << 20, 1 << 20, lambda which: b"x" * (1 << 20), Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
lazy.ensure_range(0, 1 << 20)
try:
    lazy.ensure_range(0, 4 << 20)
except ImageError as error:
    print(error)
"""


def test_a_full_disk_is_an_error_and_no_signal(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"{tmp_path}: scratch file for the unpacked part of the image: File too large")
    assert "--cache" in run.stdout


def test_zeros_are_told() -> None:
    assert is_zero(b"")
    assert is_zero(bytes(1)) and is_zero(bytes(100_000))
    assert not is_zero(bytes(99_999) + b"\1")
    assert not is_zero(b"\1" + bytes(99_999))


def test_scratch_goes_where_disks_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert scratch_folder() == tmp_path
    monkeypatch.delenv("TMPDIR")
    assert scratch_folder() in (Path("/var/tmp"), Path(tempfile.gettempdir()))
