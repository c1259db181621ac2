# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memir.errors import ChangedImageError, ImageError, ImageFormatError, TruncatedImageError
from memir.image.open import open_image
from memir.image.source import MappedFile, SourceReader, read
from tests.image.files import PAGE, lime, noise, put


def test_reading_and_its_bounds(tmp_path: Path) -> None:
    source = MappedFile(put(tmp_path, b"0123456789"))
    assert (source.size, source.data.tobytes(), source.name) == (10, b"0123456789", str(tmp_path / "image"))
    assert read(source, 2, 3) == b"234"
    assert read(source, 10, 0) == b""
    for offset, size in ((5, 6), (11, 0), (-1, 2), (0, -1), (2**64, 1)):
        with pytest.raises(TruncatedImageError, match=r"beyond the end of the file .10 bytes"):
            read(source, offset, size)


def test_as_a_binary_file(tmp_path: Path) -> None:
    reader = SourceReader(MappedFile(put(tmp_path, b"0123456789")))
    assert reader.readable()
    assert (reader.read(4), reader.tell(), reader.read(), reader.read(3)) == (b"0123", 4, b"456789", b"")


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ImageFormatError, match="fifo is not a regular file"):
        open_image(tmp_path / "fifo")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is a folder: give an image file"),
        ("absent", "cannot be opened: No such file"),
        ("loop", "Too many levels"),
        ("nul\0", "null"),
    ],
)
def test_what_is_no_file(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ImageError, match=words):
        open_image(tmp_path / name)


def test_devices_and_the_empty_file(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="/dev/null is not a regular file"):
        open_image("/dev/null")
    with pytest.raises(ImageFormatError, match="image is empty"):
        open_image(put(tmp_path, b""))


def test_an_unreadable_file(tmp_path: Path) -> None:
    path = put(tmp_path, bytes(1 << 20))
    path.chmod(0)
    if os.geteuid() != 0:
        with pytest.raises(ImageError, match="Permission denied"):
            open_image(path)
        return
    tmp_path.chmod(0o755)
    code = f"""
import os
from pathlib import Path
from memir.errors import ImageError
from memir.image.source import MappedFile
os.setegid(65534); os.seteuid(65534)
try:
    MappedFile(Path({str(path.name)!r}))
except ImageError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.stdout == "image: cannot be opened: Permission denied\n", run.stderr


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = put(tmp_path, lime([(0, noise(8 * PAGE))]))
    memory = open_image(path)
    views = memory.views(PAGE)
    next(views)
    with path.open("r+b") as file:
        file.seek(5000)
        file.write(b"changed")
    os.utime(path, ns=(1, 1))
    for again in (lambda: next(views), memory.check_unchanged, lambda: memory.read(0, 8), memory.sha256):
        with pytest.raises(
            ChangedImageError,
            match=f"{path} changed while it was read: {path.stat().st_size} bytes at opening",
        ):
            again()


def test_a_file_that_is_cut_while_it_is_scanned(tmp_path: Path) -> None:
    """Not even if its times are put back: the kernel is asked before the bytes are touched, so there is no SIGBUS."""
    code = """
import os, sys
from pathlib import Path
from memir.errors import ImageError
from memir.image.source import MappedFile
path = Path(sys.argv[1])
source = MappedFile(path)
os.truncate(path, 1 << 20)
for call in (source.check, lambda: source.populate(0, 4 << 20)):
    try:
        call()
    except ImageError as error:
        print(type(error).__name__, error)
source._stamp = source._now()
try:
    source.populate(2 << 20, 4 << 20)
except ImageError as error:
    print(type(error).__name__, error)
"""
    path = put(tmp_path, noise(4 << 20))
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines] in (
        ["ChangedImageError", "ChangedImageError", "ImageError"],
        ["ChangedImageError"],
    )
    assert "4194304 bytes at opening, 1048576 now" in lines[0]
    if len(lines) == 3:  # Linux 5.14 and later
        assert lines[2].endswith("does not give the bytes at offsets 0x200000 to 0x400000")


def test_a_replaced_file_goes_on_as_it_was(tmp_path: Path) -> None:
    data = lime([(0, noise(8 * PAGE))])
    path = put(tmp_path, data)
    memory = open_image(path)
    put(tmp_path, b"new", "other").replace(path)
    assert memory.read(0, 8 * PAGE) == data[32:]


def test_closed(tmp_path: Path) -> None:
    with open_image(put(tmp_path, lime([(0, noise(PAGE))]))) as memory:
        _, view = next(memory.views())
    assert view.tobytes() == noise(PAGE)
    with pytest.raises(ImageError, match="is closed"):
        memory.read(0, 8)
    memory.close()


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    gc.collect()  # what other tests left
    before = len(list(Path("/proc/self/fd").iterdir()))
    for data in (
        b"",
        b"x" * 100,
        lime([(0, b"x")])[:32],
        b"\x7fELF" + bytes(100),
        b"\x28\xb5\x2f\xfd" + bytes(9),
    ):
        with pytest.raises(ImageError):
            open_image(put(tmp_path, data), cache=tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_that_is_dropped_gives_its_descriptor_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 4096)
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        MappedFile(path)
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
