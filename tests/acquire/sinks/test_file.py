# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import random
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from memir.acquire.sinks import file as module
from memir.acquire.sinks.base import SinkMeta, StreamSink
from memir.acquire.sinks.file import FileSink, folder_check
from memir.errors import StorageError

META = SinkMeta("run", "node", "image.lime", "lime", 1 << 20, "now")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", 100_000)


@pytest.fixture
def limit() -> Iterator[None]:
    """No file may grow past 250,000 bytes, as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
    signal.signal(signal.SIGXFSZ, handler)


def test_parts_and_whole(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(345_678)
    sink = FileSink(tmp_path / "ev")
    assert isinstance(sink, StreamSink)
    sink.begin(META)
    for start in range(0, len(data), 7777):
        sink.write(data[start : start + 7777])
    assert not (tmp_path / "ev/image.lime").exists()
    stored = sink.commit()
    assert (tmp_path / "ev/image.lime").read_bytes() == data
    assert stored.complete
    assert (stored.size, stored.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert [(part.number, part.offset, part.size) for part in stored.parts] == [
        (1, 0, 100_000), (2, 100_000, 100_000), (3, 200_000, 100_000), (4, 300_000, 45_678),
    ]  # fmt: skip
    for part in stored.parts:
        assert part.sha256 == hashlib.sha256(data[part.offset : part.offset + part.size]).hexdigest()


def test_bytes_that_change_on_the_disk_are_found_before_the_name_is_given(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "ev")
    sink.begin(META)
    sink.write(bytes(250_000))
    with (tmp_path / "ev/image.lime.partial").open("r+b") as file:
        file.seek(150_000)
        file.write(b"!")
    stored = sink.commit()
    assert not stored.complete
    assert stored.missing == ("part 2 reads back with another hash",)
    assert not (tmp_path / "ev/image.lime").exists()


def test_bytes_that_vanish_from_the_disk_are_found(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "ev")
    sink.begin(META)
    sink.write(bytes(250_000))
    import os

    os.truncate(tmp_path / "ev/image.lime.partial", 120_000)
    assert sink.commit().missing == (
        "part 2 is 80,000 bytes short on the disk",
        "part 3 is 50,000 bytes short on the disk",
    )


def test_a_full_disk(tmp_path: Path, limit: None) -> None:
    sink = FileSink(tmp_path / "ev")
    sink.begin(META)
    data = random.Random(2).randbytes(300_000)
    with pytest.raises(StorageError, match=r"cannot write .*image\.lime\.partial past 250,000 bytes: .*File too large"):
        for start in range(0, len(data), 50_000):
            sink.write(data[start : start + 50_000])
    stored = sink.partial("disk full")
    assert (tmp_path / "ev/image.lime.partial").read_bytes() == data[:250_000]
    assert (stored.complete, stored.size, stored.missing) == (False, 250_000, ("disk full",))
    assert sum(part.size for part in stored.parts) == 250_000
    assert stored.resume


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "ev"
    folder.mkdir()
    (folder / "image.lime").write_text("old")
    with pytest.raises(StorageError, match="is there already"):
        FileSink(folder).begin(META)
    assert (folder / "image.lime").read_text() == "old"
    assert FileSink(folder).check()[0].level == "fail"


def test_room_is_checked_first(tmp_path: Path) -> None:
    huge = SinkMeta("run", "node", "image.lime", "lime", 1 << 60, "now")
    with pytest.raises(StorageError, match=r"bytes free, the node has 1,152,921,504,606,846,976 of RAM"):
        FileSink(tmp_path / "ev").begin(huge)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write to"):
        FileSink(tmp_path / "file" / "ev").begin(META)
    assert [check.level for check in FileSink(tmp_path / "file" / "ev").check()] == ["fail"]


def test_folder_check(tmp_path: Path) -> None:
    """A place without room or rights fails as the run would; nothing is made."""
    assert folder_check(tmp_path / "new" / "ev").level == "ok" and list(tmp_path.iterdir()) == []
    for place, words in (("/proc/x", "no room, 0 bytes are free"), ("/dev/full/ev", "/dev/full cannot be written")):
        assert words in folder_check(Path(place)).detail
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert folder_check(tmp_path / "open").advice == f"chmod 700 {tmp_path / 'open'}"
    (tmp_path / "open" / "x").touch()
    assert folder_check(tmp_path / "open").detail.endswith("is not empty")
