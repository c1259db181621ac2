# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from memir.errors import ImageFormatError, MemirError, UsageError
from memir.image.open import MIN_RAW, open_image
from tests.image.files import PAGE, THREE, elf, gz, lime, noise, put, raw, record, seekable, u64, zstd

RAW = noise(MIN_RAW)


@pytest.mark.parametrize(("data", "form"), [(RAW, "raw"), (lime(THREE), "LiME"), (elf(THREE), "ELF core")])
@pytest.mark.parametrize("name", ["memory.raw", "memory.lime", "memory.avml.zst", "memory.gz", "core.elf", "x"])
def test_the_name_says_nothing(data: bytes, form: str, name: str, tmp_path: Path) -> None:
    with open_image(str(put(tmp_path, data, name))) as memory:
        assert (memory.format, memory.path) == (form, str(tmp_path / name))


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"QEVM\0\0\0\3", "QEMU migration stream .*: take the RAM with `dump-guest-memory FILE`"),
        (b"\xd2\xbe\xd2\xbe", "VMware machine .vmss, vmsn.: give memir the .vmem file beside it"),
        (b"EVF\x09\x0d\x0a\xff\0", "EnCase image .E01.: export the raw bytes"),
        (b"\x19\x43\x56\x54", "CRIU checkpoint's file: .*: take the node's RAM with `memir acquire`"),
        (b"DISKDUMP", "diskdump, of a kernel before kdump: crash reads it; memir reads kernels from 5.10 on"),
        (b"LibvirtQemudSave", "libvirt save file: take the RAM with `virsh dump --memory-only` instead"),
        (b"PAGEDU64", "Windows crash dump"),
        (b"QFI\xfb\0\0\0\3", "qcow2 disk image"),
    ],
)
def test_what_memir_does_not_read_is_named(start: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match=words):
        open_image(put(tmp_path, start + RAW))
    with pytest.raises(ImageFormatError, match=words):
        open_image(put(tmp_path, zstd(start + RAW)), cache=tmp_path)


@pytest.mark.parametrize("data", [b"x", b"EMi", b"LiME" + bytes(60), b"PNG" * 50, RAW[:-1], b"\x28\xb5\x2f"])
def test_too_small_for_ram(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match=f"image: {len(data)} bytes that begin with .*no format memir knows"):
        open_image(put(tmp_path, data))


def test_a_base_is_for_raw_alone(tmp_path: Path) -> None:
    for data in (lime(THREE), elf(THREE), zstd(lime(THREE))):
        with pytest.raises(UsageError, match="the base address is for raw images"):
            open_image(put(tmp_path, data), base=0x1000, cache=tmp_path)
    for base in (-1, 1 << 56, 1 << 70):
        with pytest.raises(UsageError, match="cannot begin at"):
            open_image(put(tmp_path, RAW), base=base)
    with open_image(put(tmp_path, zstd(RAW)), base=0x4000_0000, cache=tmp_path) as memory:
        assert memory.read(0x4000_0000, 16) == RAW[:16]


def test_an_empty_container(tmp_path: Path) -> None:
    for data in (zstd(b""), gz(b"")):
        with pytest.raises(ImageFormatError, match="is empty"):
            open_image(put(tmp_path, data), cache=tmp_path)


def test_a_container_in_a_container_is_not_opened_for_ever(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="no format memir knows"):
        open_image(put(tmp_path, zstd(zstd(zstd(zstd(lime(THREE)))))), cache=tmp_path)


def test_the_cache_folder_if_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    open_image(put(tmp_path, zstd(lime(THREE)))).close()
    assert len(list((tmp_path / "xdg" / "memir" / "images").glob("*.image"))) == 1


def test_an_address_needs_a_reader() -> None:
    with pytest.raises(UsageError, match=r"memir\.aws\.image\.open_image"):
        open_image("s3://bucket/key")


LARGE = """
import resource, sys
from pathlib import Path
import numpy as np
from memir.image.open import open_image
# the address space may hold the mapping, but not a copy of it
limit = int(sys.argv[2])
memory = open_image(sys.argv[1], cache=Path(sys.argv[3]))
pa = np.arange(0, memory.end, 1 << 20, dtype=np.uint64)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
values, ok = memory.gather_as(pa, "<u8")
total = int(values.sum()) + sum(int(view[::4096].sum()) for _, view in memory.views(4 << 20))
print(total, memory.size)
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")))
"""


@pytest.mark.parametrize("kind", ["raw", "lime", "zstd", "seekable"])
def test_an_image_is_never_read_into_ram(kind: str, tmp_path: Path) -> None:
    """768 MiB with 128 MiB of data pages allowed; what is counted is memory that no file stands behind."""
    size = 768 << 20
    part = noise(1 << 20)
    path = tmp_path / "large"
    with path.open("wb") as out:
        if kind == "lime":
            out.write(record(b"EMiL", 1, 0, size - 1))
        if kind in ("raw", "lime"):
            start = out.tell()
            for at in range(0, size, 64 << 20):
                out.seek(start + at)
                out.write(part)
            out.truncate(start + size)
    if kind == "zstd":
        path.write_bytes(zstd(part) + zstd(bytes(size - (1 << 20))))
    if kind == "seekable":
        path.write_bytes(seekable(part * 256 + bytes(size - (256 << 20)), 4 << 20))
    limit = 128 << 20
    command = [sys.executable, "-c", LARGE, str(path), str(limit), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    (total, seen), (anonymous,) = (line.split() for line in run.stdout.splitlines())
    assert int(seen) == size
    assert int(total) > 0
    assert int(anonymous) < 110 << 10


def test_errors_have_their_exit_code(tmp_path: Path) -> None:
    with pytest.raises(MemirError) as caught:
        open_image(tmp_path)
    assert caught.value.exit_code == 3


def test_holes_and_zeros_differ(tmp_path: Path) -> None:
    with open_image(put(tmp_path, lime([(0, bytes(PAGE)), (0x5000, bytes(PAGE))]))) as memory:
        values, ok = memory.gather_as(u64(0, 0x2000, 0x5000), "<u8")
        assert (values.tolist(), ok.tolist()) == ([0, 0, 0], [True, False, True])
    with open_image(put(tmp_path, raw(THREE).ljust(MIN_RAW, b"\0"))) as memory:
        assert memory.gather_as(u64(0x80000), "<u8")[1].tolist() == [True]
