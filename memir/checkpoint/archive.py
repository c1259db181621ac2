# SPDX-License-Identifier: Apache-2.0
"""A checkpoint archive as the kubelet has containerd or CRI-O write it: a tar that is read in its place.

checkpoint-NS_POD-CONTAINER-TIME.tar holds config.dump, spec.dump, status.dump (and CRI-O's network.status), the changes
of the root file system as rootfs-diff.tar, and CRIU's images below checkpoint/ (names: checkpointctl's
lib/metadata.go). Nothing of it is unpacked: no name in it ever becomes a path here.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

from memir.errors import ChangedImageError, ImageError, ImageFormatError, UsageError
from memir.gaps import Gaps

FOLDER = "checkpoint/"
MOST = 100_000
"""Files in an archive that are looked at; a process has about ten."""
_OWN = ("config.dump", "spec.dump", "status.dump")
_LOOKED_AT = 64
_BLOCK = 512
_STEP = 16 << 20
_PACKED = {b"\x1f\x8b": "gunzip -k", b"\x28\xb5\x2f\xfd": "zstd -d", b"\xfd7zXZ": "unxz -k"}


def is_checkpoint(path: str | Path) -> bool:
    """Whether a file is a checkpoint archive by the names in it; of a packed one by its own name. Never raises."""
    if str(path).startswith("s3://") or not Path(path).is_file():
        return False
    try:
        with Path(path).open("rb") as file:
            head = file.read(_BLOCK)
            if head[257:262] != b"ustar":
                named = Path(path).name.startswith("checkpoint-") and ".tar" in Path(path).name
                return named and any(map(head.startswith, _PACKED))
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for _ in range(_LOOKED_AT):
                    member = tar.next()
                    if member is None:
                        return False
                    name = member.name.removeprefix("./")
                    if name in _OWN or name.startswith(FOLDER):
                        return True
    except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError):
        pass
    return False


class Archive:
    """An open archive: names of its regular files, and their bytes without a copy."""

    def __init__(self, path: str | Path, gaps: Gaps) -> None:
        """ImageError for a file that is unreadable, UsageError for a packed one, ImageFormatError for another."""
        self.path = Path(path)
        self.gaps = gaps
        self.missing = 0
        """Bytes that the tar's headers promise and the file lacks: it is cut."""
        try:
            self._file = self.path.open("rb")
        except OSError as error:
            raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from error
        try:
            status = os.fstat(self._file.fileno())
            self._stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
            self.size = status.st_size
            self._refuse_packed()
            self._data = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            self.files = self._index()
            self._refuse_others()
        except BaseException:
            self._file.close()
            raise

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of a file, the first `limit` of them; KeyError for one that is not there."""
        start, size = self.files[name]
        return self._data[start : start + (size if limit is None else min(size, limit))]

    def view(self, name: str) -> memoryview:
        """The bytes of a file in their place; KeyError for one that is not there."""
        start, size = self.files[name]
        return memoryview(self._data)[start : start + size]

    def images(self, prefix: str) -> list[str]:
        """Names of CRIU's images that begin so, `core-` say, in the order of the numbers in them."""
        names = [name for name in self.files if name.startswith(FOLDER + prefix) and name.endswith(".img")]
        return sorted(names, key=lambda name: (len(name), name))

    def sha256(self, progress: Callable[[str, int, int], None] | None = None) -> str:
        """Hash of the whole file in hex. progress: what is done, bytes, of how many."""
        digest = hashlib.sha256()
        for place in range(0, self.size, _STEP):
            digest.update(self._data[place : place + _STEP])
            if progress is not None:
                progress("hashing", min(place + _STEP, self.size), self.size)
        return digest.hexdigest()

    def check_unchanged(self) -> None:
        """ChangedImageError if the file is not what it was when it was opened."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise ChangedImageError(f"{self.path}: is gone ({error.strerror}): put it back") from error
        if (status.st_size, status.st_mtime_ns, status.st_ino) != self._stamp:
            raise ChangedImageError(f"{self.path}: changed while it was read: make a copy of it and analyse that")

    def close(self) -> None:
        """Close the file; what view() gave keeps its bytes until it is let go."""
        self._file.close()

    def _refuse_packed(self) -> None:
        head = self._file.read(8)
        if not head:
            raise ImageFormatError(f"{self.path}: the file is empty: take the checkpoint again")
        for magic, command in _PACKED.items():
            if head.startswith(magic):
                raise UsageError(f"{self.path}: a packed archive is not read in its place: unpack it with `{command}`")

    def _index(self) -> dict[str, tuple[int, int]]:
        """(offset, size) of every regular file by name, without a leading `./`."""
        files: dict[str, tuple[int, int]] = {}
        self._file.seek(0)
        count = 0
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # typeshed lacks it; else all of them stay
                    count += 1
                    if count > MOST:
                        self.gaps.add("checkpoint archive", str(self.path), f"more than {MOST} files: the rest is left")
                        break
                    self._take(files, member)
        except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
            if not files:
                raise ImageFormatError(f"{self.path}: not a tar that can be read: {error}") from error
            self.missing += 1
            self.gaps.add("checkpoint archive", str(self.path), f"cut or damaged: {error}")
        return files

    def _take(self, files: dict[str, tuple[int, int]], member: tarfile.TarInfo) -> None:
        name = member.name.removeprefix("./")
        if not member.isreg() or member.issparse():
            if not member.isdir():
                self.gaps.add("checkpoint archive", name, "neither a file nor a folder: left out")
            return
        if name in files:
            self.gaps.add("checkpoint archive", name, "stands in it twice: the first is read")
            return
        there = max(0, min(member.size, self.size - member.offset_data))
        if there < member.size:
            self.missing += member.size - there
            self.gaps.add("checkpoint archive", name, "cut: bytes are missing", member.size - there)
        files[name] = (member.offset_data, there)

    def _refuse_others(self) -> None:
        lacks = [name for name in ("spec.dump", FOLDER + "pstree.img") if name not in self.files]
        if not lacks:
            return
        cut = ", or it is cut before them: take the checkpoint again" if self.missing else ""
        raise ImageFormatError(
            f"{self.path}: not a kubelet's checkpoint archive: {' and '.join(lacks)} not in it{cut}; memir reads what "
            "the kubelet's checkpoint API makes"
        )
