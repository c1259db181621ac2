# SPDX-License-Identifier: Apache-2.0
"""A systemd journal file of which the page cache has parts.

https://systemd.io/JOURNAL_FILE_FORMAT. The file is a row of objects. What is behind a hole is entered only where an
object before it, the header or a hash table points: bytes of a message that look like objects are never taken for such.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from memir.kube.cached_file import CachedFile
from memir.kube.log_line import LogLine, text_of

MAGIC = b"LPKSHHRH"
_HEADER = struct.Struct("<8sII8x16s16s16s16sQQQQQQQQQQQQQ")
_OBJECT, _ENTRY, _DATA = struct.Struct("<BB6xQ"), struct.Struct("<QQQ16sQ"), struct.Struct("<QQQQQQ")
_DATA_TYPE, _FIELD_TYPE, _ENTRY_TYPE, _DATA_HASH, _FIELD_HASH, _ARRAY, _TAG = range(1, 8)
_COMPACT = 1 << 4  # of the incompatible flags: systemd 252
_XZ, _LZ4, _ZSTD = 1, 2, 4
_MOST_OBJECTS, _MOST_ITEMS, _MOST_OUTPUT = 1 << 21, 1024, 64 << 20
_LONGEST = 1 << 20  # bytes of one field that are unpacked
_SANE = 1 << 52  # microseconds: the year 2112
_OWN = {b"MESSAGE", b"PRIORITY", b"SYSLOG_FACILITY"}


@dataclass
class Journal:
    """lines: by sequence number. stated: entries that the header counts, None without a header.

    holes: why what was to be read could not be, and how often.
    """

    lines: list[LogLine] = field(default_factory=list)
    stated: int | None = None
    holes: dict[str, int] = field(default_factory=dict)


def is_journal(file: CachedFile) -> bool:
    """Whether the file begins as a journal does."""
    return file.read(0, len(MAGIC)) == MAGIC


def read_journal(file: CachedFile) -> Journal:
    """The entries that can be reached. A file without its first page gives none: it names the layout."""
    reader = _Reader(file)
    reader.run()
    return reader.journal


class _Reader:
    def __init__(self, file: CachedFile) -> None:
        self.file, self.journal = file, Journal()
        self.types: dict[int, tuple[int, int, int]] = {}  # by offset: type, flags, size
        self.wanted: list[int] = []
        self.output = 0
        self.values: dict[int, tuple[bytes, bytes] | None] = {}
        self.texts: dict[tuple[bytes, bytes], str] = {}

    def hole(self, why: str) -> None:
        self.journal.holes[why] = self.journal.holes.get(why, 0) + 1

    def run(self) -> None:
        raw = self.file.read(0, _HEADER.size)
        if raw is None or raw[:8] != MAGIC:
            self.hole("no header: its first page is not in the page cache")
            return
        words = _HEADER.unpack(raw)
        self.compact = bool(words[2] & _COMPACT)
        size, _, data_table, data_size, field_table, field_size, tail, _, count = words[7:16]
        self.journal.stated = count
        self.end = min(self.file.size, tail + self._size_at(tail)) if tail else self.file.size
        self.wanted = [size, tail]
        array = self.file.read(176, 8)
        if array is not None:
            self.wanted.append(int.from_bytes(array, "little"))
        for table, length in ((data_table, data_size), (field_table, field_size)):
            self._table(table, length)
        self._walk()
        lost = self.file.missing_until(self.end)
        if lost:
            self.journal.holes["pages that are not in the page cache"] = lost
        entries = [place for place, (kind, _, _) in self.types.items() if kind == _ENTRY_TYPE]
        self.journal.lines = [line for place in sorted(entries) if (line := self._entry(place)) is not None]
        self.journal.lines.sort(key=lambda line: line.sequence or 0)

    def _size_at(self, offset: int) -> int:
        raw = self.file.read(offset, 16)
        return int(_OBJECT.unpack(raw)[2]) if raw is not None else 16

    def _table(self, offset: int, size: int) -> None:
        """Heads and tails of a hash table's chains."""
        for start in range(offset, offset + min(size, self.file.size), 4096):
            raw = self.file.read(start, min(4096, offset + size - start))
            if raw is not None:
                self._want(word for word in struct.unpack(f"<{len(raw) // 8}Q", raw[: len(raw) // 8 * 8]) if word)

    def _want(self, offsets: Iterator[int] | tuple[int, ...]) -> None:
        if len(self.wanted) < _MOST_OBJECTS:
            self.wanted.extend(offsets)

    def _walk(self) -> None:
        """Objects one behind the other from each place that is pointed at."""
        seen = self.types
        while self.wanted and len(seen) < _MOST_OBJECTS:
            offset = self.wanted.pop()
            while offset not in seen and 0 < offset < self.end and offset % 8 == 0 and len(seen) < _MOST_OBJECTS:
                raw = self.file.read(offset, 16)
                if raw is None:
                    break
                kind, flags, size = _OBJECT.unpack(raw)
                if not _DATA_TYPE <= kind <= _TAG or not 16 <= size <= self.file.size - offset:
                    self.hole("objects that are none")
                    break
                seen[offset] = (kind, flags, size)
                self._pointed(offset, kind, size)
                offset += (size + 7) & ~7
        if len(seen) >= _MOST_OBJECTS:
            self.hole(f"more than {_MOST_OBJECTS} objects")

    def _pointed(self, offset: int, kind: int, size: int) -> None:
        if kind in (_DATA_TYPE, _FIELD_TYPE):
            words = self.file.read(offset + 24, 32 if kind == _DATA_TYPE else 16)
            if words is not None:
                self._want(struct.unpack(f"<{len(words) // 8}Q", words))
        elif kind == _ENTRY_TYPE:
            self._want(tuple(self._items(offset, size)))
        elif kind == _ARRAY:
            step, length = ("I", 4) if self.compact else ("Q", 8)
            following = self.file.read(offset + 16, 8)
            self._want((int.from_bytes(following or b"", "little"),))
            for start in range(offset + 24, offset + size, 4096):
                raw = self.file.read(start, min(4096, offset + size - start) // length * length)
                if raw:
                    self._want(word for word in struct.unpack(f"<{len(raw) // length}{step}", raw) if word)

    def _items(self, offset: int, size: int) -> list[int]:
        """Offsets of an entry's fields."""
        step = 4 if self.compact else 16
        raw = self.file.read(offset + 64, min(max(size - 64, 0) // step, _MOST_ITEMS) * step)
        if raw is None:
            return []
        # behind each offset of 8 bytes stands a hash; compact ones have 4 and none
        if step == 4:
            return list(struct.unpack(f"<{len(raw) // 4}I", raw))
        return list(struct.unpack(f"<{len(raw) // 8}Q", raw)[::2])

    def _entry(self, offset: int) -> LogLine | None:
        size = self.types[offset][2]
        raw = self.file.read(offset + 16, _ENTRY.size)
        if raw is None or size < 64:
            self.hole("entries that are cut by a hole")
            return None
        sequence, realtime, monotonic, boot, _ = _ENTRY.unpack(raw)
        items = self._items(offset, size)
        if not items or not 0 < realtime < _SANE or not sequence:
            self.hole("entries that are cut by a hole" if not items else "entries that are none")
            return None
        values = [self._value(place) for place in items]
        if None in values:
            self.hole("entries that lack a field: its page is not in the page cache")
        known = [value for value in values if value is not None]
        first = dict(reversed(known))
        return LogLine(
            time=realtime,
            text=text_of(first[b"MESSAGE"]) if b"MESSAGE" in first else None,
            fields=[self._text(pair) for pair in known if pair[0] not in _OWN],
            sequence=sequence if sequence < 1 << 63 else None,
            level=_small(first.get(b"PRIORITY"), 7),
            facility=_small(first.get(b"SYSLOG_FACILITY"), 127),
            monotonic=monotonic * 1000 if monotonic < _SANE else None,
            boot_id=boot.hex(),
            cgroup=text_of(first[b"_SYSTEMD_CGROUP"]) if b"_SYSTEMD_CGROUP" in first else None,
        )

    def _text(self, pair: tuple[bytes, bytes]) -> str:
        """NAME=value: most fields are objects that many entries share."""
        if pair not in self.texts:
            self.texts[pair] = f"{text_of(pair[0])}={text_of(pair[1])}"
        return self.texts[pair]

    def _value(self, offset: int) -> tuple[bytes, bytes] | None:
        """(name, value) of a DATA object; None where it cannot be read."""
        if offset not in self.values:
            raw = self._payload(offset)
            name, equals, value = (raw or b"").partition(b"=")
            self.values[offset] = (name, value) if equals and name else None
        return self.values[offset]

    def _payload(self, offset: int) -> bytes | None:
        kind, flags, size = self.types.get(offset, (0, 0, 0))
        start = 72 if self.compact else 64
        if kind != _DATA_TYPE or size < start:
            return None
        packed = flags & (_XZ | _LZ4 | _ZSTD)
        raw = self.file.read(offset + start, min(size - start, _LONGEST))
        if raw is None or not packed or self.output > _MOST_OUTPUT:
            return None if packed else raw
        data = unpack(raw, packed)
        if data is None:
            self.hole("compressed fields that cannot be unpacked")
            return None
        self.output += len(data)
        return data


def unpack(raw: bytes, kind: int) -> bytes | None:
    """The first MiB of a compressed field at most (kind: the object's flag); None for what is not so compressed."""
    import zstandard

    try:
        if kind == _XZ:
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=64 << 20).decompress(raw, _LONGEST)
        if kind == _ZSTD:
            limited = zstandard.ZstdDecompressor(max_window_size=1 << 27)
            return limited.stream_reader(raw).read(_LONGEST)
        return _lz4(raw) if kind == _LZ4 else None
    except (lzma.LZMAError, zstandard.ZstdError, EOFError, MemoryError):
        return None


def _lz4(raw: bytes) -> bytes | None:
    """A block behind its unpacked length."""
    import lz4.block  # type: ignore[import-untyped]  # the package has no types

    length = int.from_bytes(raw[:8], "little")
    if not 0 < length <= _LONGEST:
        return None
    try:
        return bytes(lz4.block.decompress(raw[8:], uncompressed_size=length))
    except lz4.block.LZ4BlockError:
        return None


def _small(raw: bytes | None, most: int) -> int | None:
    return int(raw) if raw is not None and raw.isdigit() and len(raw) <= 3 and int(raw) <= most else None
