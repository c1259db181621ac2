# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memir.errors import ChangedImageError, ImageError, ImageFormatError, MemirError, TruncatedImageError
from memir.image.open import open_image
from memir.image.source import MappedFile
from memir.image.unpack import unpacked
from tests.fuzz import cases, mutations
from tests.image.files import PAGE, THREE, avml, elf, gz, lime, noise, put, zstd

DATA = lime(THREE)
LONG = noise(3 << 20)


def unpack(path: Path, container: str, folder: Path, **options: bool) -> tuple[bytes, int]:
    target, missing, _ = unpacked(MappedFile(path), container, folder, options.get("allow_truncated", False), None)
    return target.read_bytes(), missing


@pytest.mark.parametrize("make", [zstd, gz])
@pytest.mark.parametrize(("form", "data"), [("LiME", lime(THREE)), ("AVML", avml(THREE)), ("ELF core", elf(THREE))])
def test_every_format_in_every_container(make: object, form: str, data: bytes, tmp_path: Path) -> None:
    packed = zstd(data) if make is zstd else gz(data)
    path = put(tmp_path, packed)
    steps: list[tuple[str, int, int]] = []
    for again in range(2):
        with open_image(path, cache=tmp_path / "cache", progress=lambda *one: steps.append(one)) as memory:
            assert (memory.format, memory.container) == (form, "zstd" if make is zstd else "gzip")
            assert (memory.path, memory.file_size) == (str(path), len(packed))
            assert memory.sha256() == hashlib.sha256(packed).hexdigest()
            for pa, part in THREE:
                assert memory.read(pa, len(part)) == part
        if not again:
            assert steps[-1] == ("unpacking", len(packed), len(packed))
            assert [done for _, done, _ in steps] == sorted({done for _, done, _ in steps})
            count = len(steps)
    assert len(steps) == count  # the second time it was there


@pytest.mark.parametrize(
    ("packed", "plain"),
    [
        (zstd(DATA[:1000]) + zstd(DATA[1000:]), DATA),
        (b"\x50\x2a\x4d\x18\3\0\0\0abc" + zstd(DATA) + b"\x5f\x2a\x4d\x18\0\0\0\0", DATA),
        (zstd(DATA, size=False, checksum=False), DATA),
    ],
    ids=["frames", "skippable", "bare"],
)
def test_kinds_of_zstd(packed: bytes, plain: bytes, tmp_path: Path) -> None:
    assert unpack(put(tmp_path, packed), "zstd", tmp_path / "cache") == (plain, 0)


def test_zstd_of_a_long_window(tmp_path: Path) -> None:
    plain = LONG + bytes(200 << 20) + LONG
    assert unpack(put(tmp_path, zstd(plain, window=31)), "zstd", tmp_path / "cache") == (plain, 0)


def test_kinds_of_gzip(tmp_path: Path) -> None:
    assert unpack(put(tmp_path, gz(DATA[:1000]) + gz(DATA[1000:]) + bytes(512)), "gzip", tmp_path / "cache") == (
        DATA,
        0,
    )


def test_zeros_become_holes_and_secrets_stay_private(tmp_path: Path) -> None:
    plain = bytes(64 << 20) + LONG + bytes(64 << 20)
    target, _, _ = unpacked(MappedFile(put(tmp_path, zstd(plain))), "zstd", tmp_path / "cache", False, None)
    assert target.stat().st_size == len(plain)
    assert target.stat().st_blocks * 512 < 8 << 20
    assert target.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    record = json.loads(target.with_suffix(".json").read_text())
    assert (record["size"], record["sha256"], record["missing"]) == (
        len(plain),
        hashlib.sha256(plain).hexdigest(),
        0,
    )


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


ZSTD, GZIP = zstd(LONG), gz(LONG)
AGAIN = "copy the file again, and compare its SHA-256 with that of the place it came from"


@pytest.mark.parametrize(
    ("packed", "kind", "words"),
    [
        (
            ZSTD[:-1],
            TruncatedImageError,
            ["zstd frame at offset 0x0 is cut off", f"{len(ZSTD) - 1} bytes", "--allow-truncated"],
        ),
        (ZSTD[: len(ZSTD) // 2], TruncatedImageError, ["zstd frame at offset 0x0 is cut off"]),
        (ZSTD + ZSTD[:20], TruncatedImageError, [f"zstd frame at offset {len(ZSTD):#x} is cut off"]),
        (flipped(ZSTD, len(ZSTD) // 2), ImageFormatError, ["zstd data near offset", "is damaged", AGAIN]),
        (flipped(ZSTD, len(ZSTD) - 1), ImageFormatError, ["is damaged", "checksum"]),
        (
            GZIP[:-1],
            TruncatedImageError,
            ["gzip data is cut off", f"{len(GZIP) - 1} bytes", "--allow-truncated"],
        ),
        (GZIP[: len(GZIP) // 2], TruncatedImageError, ["gzip data is cut off"]),
        (GZIP[:9], TruncatedImageError, ["gzip data is cut off"]),
        (flipped(GZIP, len(GZIP) // 2), ImageFormatError, ["gzip data after offset", "is damaged", AGAIN]),
        (flipped(GZIP, len(GZIP) - 6), ImageFormatError, ["is damaged", "incorrect data check"]),
    ],
)
def test_bad_containers_say_what_and_where(
    packed: bytes, kind: type[MemirError], words: list[str], tmp_path: Path
) -> None:
    path = put(tmp_path, packed)
    with pytest.raises(kind) as caught:
        open_image(path, cache=tmp_path / "cache")
    for word in [str(path), *words]:
        assert word in str(caught.value)
    assert [one.suffix for one in (tmp_path / "cache" / "images").iterdir()] == [".lock"]


def test_bytes_behind_gzip_data_are_left_out_and_said(tmp_path: Path) -> None:
    """As gzip itself does; said again when the unpacked file is taken from the cache."""
    path = put(tmp_path, GZIP + bytes(512) + b"trailing")
    for _ in range(2):
        with open_image(path, cache=tmp_path / "cache") as memory:
            assert memory.repairs == ("8 bytes behind the gzip data are left out: they are none of it",)
            assert memory.missing == 0
            assert memory.read(0, len(LONG)) == LONG
    path = put(tmp_path, GZIP + bytes(512) + GZIP)
    with open_image(path, cache=tmp_path / "cache") as memory:
        assert (memory.repairs, memory.size) == ((), 2 * len(LONG))


@pytest.mark.parametrize("make", [zstd, gz])
def test_a_cut_container_if_allowed(make: object, tmp_path: Path) -> None:
    packed = zstd(DATA) if make is zstd else gz(DATA)
    path = put(tmp_path, packed[: len(packed) // 2])
    folder = tmp_path / "cache"
    plain, missing = unpack(path, "zstd" if make is zstd else "gzip", folder, allow_truncated=True)
    assert DATA.startswith(plain)
    assert missing == (len(DATA) - len(plain) if make is zstd else 1)
    with open_image(path, cache=folder, allow_truncated=True) as memory:
        assert memory.missing > 0
        assert memory.read(0x1000, PAGE) == THREE[0][1][:PAGE]
    # what was made of a cut file is never taken for the whole one
    with pytest.raises(TruncatedImageError):
        open_image(path, cache=folder)
    with open_image(put(tmp_path, packed, "whole"), cache=folder, allow_truncated=True) as memory:
        assert memory.missing == 0


def test_a_cut_raw_image_says_what_is_missing(tmp_path: Path) -> None:
    packed = zstd(noise(4 << 20))
    with open_image(put(tmp_path, packed[: len(packed) * 3 // 4]), cache=tmp_path, allow_truncated=True) as memory:
        assert memory.size + memory.missing == 4 << 20
        assert memory.size >= 2 << 20


def only(folder: Path) -> Path:
    (found,) = folder.glob("*.image")
    return found


def test_a_tampered_copy_is_noticed(tmp_path: Path) -> None:
    path, folder = put(tmp_path, zstd(DATA)), tmp_path / "cache"
    unpack(path, "zstd", folder)
    copy = only(folder)
    when = copy.stat()
    with copy.open("r+b") as file:
        file.seek(5000)
        file.write(b"tampered")
    os.utime(copy, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert unpack(path, "zstd", folder) == (DATA, 0)
    only(folder).write_bytes(DATA[:-1])
    assert unpack(path, "zstd", folder) == (DATA, 0)
    only(folder).unlink()
    assert unpack(path, "zstd", folder) == (DATA, 0)
    for record in ("", "[]", "{}", '{"size": 1, "sha256": 2, "missing": 3, "stamp": 4}', "\0"):
        only(folder).with_suffix(".json").write_text(record)
        assert unpack(path, "zstd", folder) == (DATA, 0)


def test_a_copy_that_was_only_touched_is_used_again(tmp_path: Path) -> None:
    path, folder = put(tmp_path, zstd(DATA)), tmp_path / "cache"
    unpack(path, "zstd", folder)
    inode = only(folder).stat().st_ino
    only(folder).touch()
    for _ in range(2):
        assert unpack(path, "zstd", folder) == (DATA, 0)
        assert only(folder).stat().st_ino == inode


def test_another_file_of_the_same_name_is_another_image(tmp_path: Path) -> None:
    path, folder = put(tmp_path, zstd(DATA)), tmp_path / "cache"
    assert unpack(path, "zstd", folder)[0] == DATA
    put(tmp_path, zstd(LONG), "new").replace(path)
    assert unpack(path, "zstd", folder)[0] == LONG


def test_a_source_that_changes_while_it_is_unpacked(tmp_path: Path) -> None:
    path = put(tmp_path, zstd(noise(12 << 20)))

    def change(what: str, done: int, total: int) -> None:
        os.utime(path, ns=(1, 1))

    with pytest.raises(ChangedImageError, match="changed while it was read"):
        open_image(path, cache=tmp_path / "cache", progress=change)
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    path, folder = put(tmp_path, zstd(DATA)), tmp_path / "cache"
    unpack(path, "zstd", folder)
    copy = only(folder)
    copy.unlink()
    left = folder / f"{copy.stem}.abc.part"
    left.write_bytes(b"half")
    other = folder / "0123.abc.part"
    other.write_bytes(b"someone else's")
    unpack(path, "zstd", folder)
    assert (left.exists(), other.exists()) == (False, True)


def test_a_folder_that_is_no_folder(tmp_path: Path) -> None:
    path = put(tmp_path, zstd(DATA))
    put(tmp_path, b"", "file")
    with pytest.raises(
        ImageError,
        match=r"file.*cannot hold .*image unpacked: Not a directory; choose another folder with --cache",
    ):
        open_image(path, cache=tmp_path / "file")


LIMITED = """
import os, resource, signal, sys
from pathlib import Path
import zstandard
import memir.image.lime, memir.image.unpack, memir.image.zstd  # before the user changes, who may not read them
from memir.errors import ImageError
from memir.image.open import open_image
if sys.argv[3] == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
elif os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    print(open_image(sys.argv[1], cache=Path(sys.argv[2])).size)
except ImageError as error:
    print(error)
"""


def limited(path: Path, folder: Path, how: str) -> str:
    command = [sys.executable, "-c", LIMITED, path.name, folder.name, how]
    run = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_full_cache_folder(tmp_path: Path) -> None:
    said = limited(put(tmp_path, zstd(LONG)), tmp_path / "cache", "full")
    assert said == "cache/images: cannot hold image unpacked: File too large; choose another folder with --cache\n"
    assert [one.suffix for one in (tmp_path / "cache" / "images").iterdir()] == [".lock"]


def test_a_really_full_file_system(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if os.geteuid() != 0:
        pytest.skip("a small file system is mounted by root alone")
    subprocess.run(mount, check=True)
    try:
        with pytest.raises(ImageError, match="unpacked: no space left; choose another folder with --cache"):
            open_image(put(tmp_path, zstd(LONG)), cache=small)
        assert [one.suffix for one in (small / "images").iterdir()] == [".lock"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_cache_folder_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    (folder / "images").mkdir(parents=True)
    path = put(tmp_path, zstd(LONG))
    for one in (tmp_path, path, folder):
        one.chmod(0o755)
    (folder / "images").chmod(0o555)
    said = limited(path, folder, "other")
    assert said == "cache/images: cannot hold image unpacked: Permission denied; choose another folder with --cache\n"
    # what is unpacked already can be used from there
    (folder / "images").chmod(0o755)
    with open_image(str(path), cache=folder) as memory:
        assert memory.size == len(LONG)


def _race(arguments: tuple[str, str]) -> tuple[str, int]:
    path, folder = arguments
    with open_image(path, cache=Path(folder)) as memory:
        return hashlib.sha256(memory.read(0, memory.size)).hexdigest(), memory.missing


def test_processes_that_unpack_at_once(tmp_path: Path) -> None:
    path, folder = put(tmp_path, zstd(noise(8 << 20))), tmp_path / "cache"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        results = pool.map(_race, [(str(path), str(folder))] * 6, 1)
    assert set(results) == {(hashlib.sha256(noise(8 << 20)).hexdigest(), 0)}
    assert sorted(one.suffix for one in (folder / "images").iterdir()) == [".image", ".json", ".lock"]


def test_fuzz(tmp_path: Path) -> None:
    small = lime([(0, noise(PAGE)), (0x5000, noise(PAGE))])
    seeds = [
        zstd(small),
        gz(small),
        zstd(small[:50]) + zstd(small[50:], checksum=False),
        gz(small[:9]) + gz(small[9:]),
    ]
    opened = 0
    folder = tmp_path / "cache"
    for number, data in enumerate(mutations(seeds, cases(300, 2000))):
        path = put(tmp_path, data)
        try:
            with open_image(path, cache=folder, allow_truncated=bool(number % 2)) as memory:
                opened += 1
                assert memory.size < 1 << 20
                assert len(memory.read_partial(0, memory.end)[0]) == memory.end
        except ImageError as error:
            assert str(path) in str(error)
        for left in (folder / "images").glob("*"):
            left.unlink()
    assert opened > 3
