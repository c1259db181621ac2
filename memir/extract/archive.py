# SPDX-License-Identifier: Apache-2.0
"""Files as one tar a container, as layers of OCI images have them: image-spec, layer.md.

A deleted file is `.wh.NAME`, a directory that hides what is below it has `.wh..wh..opq` in it. Links, devices and pipes
are entries; nothing is followed or made here. A file of the image's own whose name begins with `.wh.` would delete
another when the layer is used: it is written as `%2Ewh.NAME`.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from memir.extract.output import Output
from memir.kernel.filemap import Content

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

MAX_FILLED = 256 << 20
"""Bytes of holes that a tar is filled with for one file (tar has none); a file with more is left out, and said."""
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
_TYPES = {"directory": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "char": tarfile.CHRTYPE,
          "block": tarfile.BLKTYPE, "fifo": tarfile.FIFOTYPE}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Packed:
    """What became of one file. name: in the archive, None if it is not there, and `why` says so."""

    name: str | None
    sha256: str | None = None
    why: str | None = None


class Archives:
    """Tars of a folder, by name, made when the first file is put into each."""

    def __init__(self, place: Output, kernel: Kernel) -> None:
        self._place, self._kernel = place, kernel
        self._open: dict[str, tuple[tarfile.TarFile, IO[bytes]]] = {}

    def add(self, archive: str, name: str, row: Mapping[str, Any], content: Content) -> Packed:
        """Put one file in. row: of the table inodes, with `target` of a symbolic link and `rdev` of a device.

        OSError if the archive cannot be written on: it then ends with the last file that is whole.
        """
        if archive not in self._open:
            file = self._place.open(archive)
            self._open[archive] = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT), file  # noqa: SIM115
        tar, file = self._open[archive]
        end = tar.offset
        try:
            return self._add(tar, name, row, content)
        except OSError:
            file.seek(end)
            file.truncate()
            tar.offset = end
            raise

    def _add(self, tar: tarfile.TarFile, name: str, row: Mapping[str, Any], content: Content) -> Packed:
        info = tarfile.TarInfo(name)
        info.mode, info.uid, info.gid = row["mode"], row["uid"], row["gid"]
        info.mtime = row["mtime"].timestamp() if row["mtime"] else 0
        if row["change"] == "whiteout":
            above, _, last = name.rpartition("/")
            info.name = f"{above}/{WHITEOUT}{last}".lstrip("/")
            tar.addfile(info, io.BytesIO())
            return Packed(info.name)
        if row["kind"] in _TYPES:
            return self._add_special(tar, info, row)
        if row["kind"] != "regular":
            return Packed(None, why=f"a {row['kind']} is listed, not made")
        holes = content.holes()
        why = None
        if row["size"] and not len(content.index):
            why = "nothing of it is in RAM"
        elif sum(end - start for start, end in holes) > MAX_FILLED:
            why = f"more than {MAX_FILLED >> 20} MiB of it are not in RAM: extract it without --tar"
        if why is not None:
            return Packed(None, why=why)
        info.size = content.size
        if holes:
            info.pax_headers = {"MEMIR.not_in_ram": ",".join(f"{start}-{end}" for start, end in holes)}
        stream = _Filled(self._kernel, content)
        tar.addfile(info, stream)
        return Packed(name, None if holes else stream.digest.hexdigest())

    def _add_special(self, tar: tarfile.TarFile, info: tarfile.TarInfo, row: Mapping[str, Any]) -> Packed:
        info.type = _TYPES[row["kind"]]
        if row["kind"] == "symlink":
            if not row["target"]:
                return Packed(None, why="where the link leads is not in RAM")
            info.linkname = row["target"]
        if row["kind"] in ("char", "block"):
            info.devmajor, info.devminor = row["rdev"] >> 20, row["rdev"] & 0xFFFFF
        tar.addfile(info)
        if row["change"] == "opaque":
            marker = tarfile.TarInfo(OPAQUE if info.name == "." else f"{info.name}/{OPAQUE}")
            marker.mode, marker.mtime = 0o600, info.mtime
            tar.addfile(marker, io.BytesIO())
        return Packed(info.name)

    def close(self) -> None:
        """End every archive."""
        for tar, file in self._open.values():
            with file:
                tar.close()


class _Filled(io.RawIOBase):
    """A file's content from end to end, as tar needs it: zeros where RAM has nothing."""

    def __init__(self, kernel: Kernel, content: Content) -> None:
        self._pieces = _pieces(kernel, content)
        self._piece = io.BytesIO()
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """So many bytes; fewer at the end alone."""
        parts: list[bytes] = []
        while size != 0:
            data = self._piece.read(size)
            piece = next(self._pieces, None) if not data else b""
            if piece is None:
                break
            self._piece = io.BytesIO(piece) if piece else self._piece
            parts.append(data)
            size -= len(data) if size > 0 else 0
        self.digest.update(b"".join(parts))
        return b"".join(parts)


def _pieces(kernel: Kernel, content: Content) -> Iterator[bytes]:
    place = 0
    for offset, data in content.chunks(kernel):
        yield from _zeros(offset - place)
        yield data
        place = offset + len(data)
    yield from _zeros(content.size - place)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield bytes(min(count, 1 << 20))
        count -= 1 << 20
