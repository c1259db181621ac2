# SPDX-License-Identifier: Apache-2.0
"""A folder of the node as a tar, streamed: an overlay's writable layer with whiteouts, or a root file system.

As layers of OCI images have them (image-spec, layer.md): a deleted file is `.wh.NAME`, a directory that hides what is
below it has `.wh..wh..opq` in it. Overlayfs has a character device 0/0, or (since Linux 6.7) an empty file with the
attribute trusted.overlay.whiteout for the first, and the attribute trusted.overlay.opaque for the second. A file whose
own name begins with `.wh.` is written as `%2Ewh.NAME` (and one that begins with that as `%252Ewh.NAME`). Extended
attributes are PAX headers `SCHILY.xattr.NAME`. `MEMIR.origin` says whether overlayfs copied a file up from the image
(its attribute trusted.overlay.origin), `MEMIR.hides` of an opaque directory whether a layer below has something there:
overlayfs marks directories that are new as well.

Nothing is followed: each directory is opened from the one above it, so that a container that puts a link in the place
of a directory leads nowhere. A file that shrinks while it is read is filled with zeros, and said.
"""

import io
import os
import re
import stat
import tarfile
from typing import Any, Dict, List, Optional, Set, Tuple

from memir.collect.node.frames import Frames, Item
from memir.collect.node.overlay import lies_below
from memir.collect.node.procfs import open_quietly

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
ORIGIN, HIDES = "MEMIR.origin", "MEMIR.hides"
DEEPEST = 400
CHUNK = 1 << 20
MAX_ATTRIBUTES = 1 << 20
MAX_NAMED = 1000


class Layer:
    """Writes one folder as one tar."""

    def __init__(self, frames: Frames, whiteouts: bool, lower: Optional[List[str]] = None) -> None:
        """whiteouts: overlayfs's marks become OCI's; else the tar has what is there. lower: the layers below."""
        self._frames = frames
        self._whiteouts = whiteouts
        self._lower = [path for path in lower or [] if path.startswith("/")]
        self._filled: List[str] = []
        self._seen: Dict[Tuple[int, int], str] = {}
        self._device = 0
        self._where = ""
        self.counts = {"files": 0, "whiteouts": 0, "opaque": 0, "unread": 0, "changed": 0}

    def write(self, path: str, name: str, facts: Optional[Dict[str, Any]] = None) -> None:
        """The folder at `path` as the item `name`; a gap if it cannot be opened."""
        try:
            top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            self._frames.gap("file system", path, str(error.strerror), True)
            return
        item = self._frames.item(name)
        item.facts = dict(facts or {}, path=path)
        self._where = path
        why = ""
        try:
            self._device = os.fstat(top).st_dev
            tar = tarfile.open(  # noqa: SIM115  (closed below: an error in between must not write its end)
                mode="w|", fileobj=_Out(item), format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape",
                bufsize=1 << 18,
            )  # fmt: skip
            self._folder(tar, top, "", 0)
            tar.close()
        except OSError as error:
            why = str(error)
        finally:
            os.close(top)
        item.facts.update(self.counts)
        if self._filled:
            item.facts["filled"] = self._filled
        item.close(why)

    def _folder(self, tar: tarfile.TarFile, folder: int, above: str, depth: int) -> None:
        if depth > DEEPEST:
            self._gap(above, "more than %d directories in each other" % DEEPEST)
            return
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            self._gap(above, str(error.strerror))
            return
        for name in names:
            path = above + name
            try:
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
                self._entry(tar, folder, name, path, facts, depth)
            except OSError as error:
                gone = isinstance(error, FileNotFoundError)
                self._gap(path, "gone while it was read" if gone else str(error.strerror), gone)

    def _entry(
        self, tar: tarfile.TarFile, folder: int, name: str, path: str, facts: os.stat_result, depth: int
    ) -> None:
        info = tarfile.TarInfo(plain(path) if self._whiteouts else path)
        info.mode, info.uid, info.gid = stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid
        info.mtime = facts.st_mtime
        headers = {"atime": "%.9f" % facts.st_atime, "ctime": "%.9f" % facts.st_ctime}
        info.pax_headers = headers
        kind = stat.S_IFMT(facts.st_mode)
        if self._whiteouts and kind == stat.S_IFCHR and facts.st_rdev == 0:
            self._whiteout(tar, path)
        elif kind == stat.S_IFDIR:
            self._directory(tar, info, folder, name, path, facts, depth)
        elif kind == stat.S_IFREG:
            self._regular(tar, info, folder, name, path, facts)
        elif kind == stat.S_IFLNK:
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=folder)
            self._named_origin(info, folder, name)
            tar.addfile(info)
            self.counts["files"] += 1
        elif kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO):
            types = {stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE, stat.S_IFIFO: tarfile.FIFOTYPE}
            info.type, info.devmajor, info.devminor = types[kind], os.major(facts.st_rdev), os.minor(facts.st_rdev)
            self._named_origin(info, folder, name)
            tar.addfile(info)
            self.counts["files"] += 1
        else:
            self._frames.gap("socket in a file system", path, "tar has no sockets")

    def _directory(
        self, tar: tarfile.TarFile, info: tarfile.TarInfo, folder: int, name: str, path: str, facts: os.stat_result,
        depth: int,
    ) -> None:  # fmt: skip
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            info.type = tarfile.DIRTYPE
            own = self._attributes(inner, info, path)
            tar.addfile(info)
            self.counts["files"] += 1
            if self._whiteouts and own & {"trusted.overlay.opaque", "user.overlay.opaque"}:
                marker = tarfile.TarInfo(info.name + "/" + OPAQUE)
                marker.mode, marker.mtime = 0o600, int(facts.st_mtime)
                if self._lower:
                    marker.pax_headers = {HIDES: "image" if lies_below(self._lower, path) else "none"}
                tar.addfile(marker)
                self.counts["opaque"] += 1
            if os.fstat(inner).st_dev == self._device:
                self._folder(tar, inner, path + "/", depth + 1)
        finally:
            os.close(inner)

    def _regular(
        self, tar: tarfile.TarFile, info: tarfile.TarInfo, folder: int, name: str, path: str, facts: os.stat_result
    ) -> None:
        key = (facts.st_dev, facts.st_ino)
        if facts.st_nlink > 1 and key in self._seen:
            info.type, info.linkname = tarfile.LNKTYPE, self._seen[key]
            tar.addfile(info)
            self.counts["files"] += 1
            return
        descriptor = open_quietly(name, folder, os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise FileNotFoundError(2, "replaced")
            own = self._attributes(descriptor, info, path)
            if self._whiteouts and not facts.st_size and own & {"trusted.overlay.whiteout", "user.overlay.whiteout"}:
                self._whiteout(tar, path)
                return
            info.size = facts.st_size
            source = Exactly(file, facts.st_size)
            tar.addfile(info, source)
        self.counts["files"] += 1
        if facts.st_nlink > 1:
            self._seen[key] = info.name
        if source.filled:
            self.counts["changed"] += 1
            if len(self._filled) < MAX_NAMED:
                self._filled.append("/" + path)
            self._frames.gap("file that changed", self._where + "/" + path, source.why)

    def _whiteout(self, tar: tarfile.TarFile, path: str) -> None:
        above, _, last = path.rpartition("/")
        name = (plain(above) + "/" if above else "") + WHITEOUT + last
        tar.addfile(tarfile.TarInfo(name))
        self.counts["whiteouts"] += 1

    def _attributes(self, descriptor: int, info: tarfile.TarInfo, path: str) -> Set[str]:
        names, left = attributes(descriptor, info)
        if left:
            why = "more than %d bytes of attributes of one file: left out" % MAX_ATTRIBUTES
            self._frames.gap("attribute", self._where + "/" + path, why, False, left)
        self._origin(info, names)
        return names or set()

    def _named_origin(self, info: tarfile.TarInfo, folder: int, name: str) -> None:
        """The same of what is not opened: by its directory, and not followed."""
        try:
            self._origin(info, set(os.listxattr("/proc/self/fd/%d/%s" % (folder, name), follow_symlinks=False)))
        except OSError:
            return

    def _origin(self, info: tarfile.TarInfo, names: Optional[Set[str]]) -> None:
        if self._whiteouts and names is not None:
            copied = bool(names & {"trusted.overlay.origin", "user.overlay.origin"})
            info.pax_headers = dict(info.pax_headers, **{ORIGIN: "image" if copied else "none"})

    def _gap(self, path: str, why: str, gone: bool = False) -> None:
        self.counts["unread"] += 1
        self._frames.gap("file", self._where + "/" + path, why, not gone)


class _Out(io.RawIOBase):
    """What tarfile writes to."""

    def __init__(self, item: Item) -> None:
        self._item = item

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._item.write(bytes(data))


class Exactly:
    """A file of the size that was promised: cut, or filled with zeros where it became shorter or cannot be read."""

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._left = file, size
        self.filled, self.why = 0, ""

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes, b"" at the promised end alone."""
        want = min(self._left, CHUNK if size < 0 else size)
        data = b""
        while len(data) < want:
            try:
                more = b"" if self.filled else self._file.read(want - len(data))
                self.why = self.why or ("" if more else "became shorter: filled with zeros")
            except OSError as error:
                more, self.why = b"", "%s: filled with zeros" % error.strerror
            if not more:
                more = bytes(want - len(data))
                self.filled += len(more)
            data += more
        self._left -= len(data)
        return data


def attributes(descriptor: int, info: tarfile.TarInfo) -> Tuple[Optional[Set[str]], int]:
    """The extended attributes of an open file, put into its headers: (their names, how many were left out as too long).

    Overlayfs's own are only named. None for the names where the file system has no attributes.
    """
    try:
        names = os.listxattr(descriptor)
    except OSError:
        return None, 0
    headers = dict(info.pax_headers)
    size = left = 0
    for name in names:
        if name.startswith(("trusted.overlay.", "user.overlay.")):
            continue
        try:
            value = os.getxattr(descriptor, name)
        except OSError:
            continue
        size += len(name) + len(value)
        if size > MAX_ATTRIBUTES:
            left += 1
            continue
        headers["SCHILY.xattr." + name] = value.decode("utf-8", "surrogateescape")
    info.pax_headers = headers
    return set(names), left


def plain(path: str) -> str:
    """A path of which no part is taken for a whiteout; memir.evidence.layer_list.own_name turns it back."""
    return "/".join(_plain(part) for part in path.split("/"))


def _plain(part: str) -> str:
    if part.startswith(WHITEOUT):
        return "%2E" + part[1:]
    return "%25" + part[1:] if re.match(r"%(25)*2Ewh\.", part) else part
