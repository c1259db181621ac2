# SPDX-License-Identifier: Apache-2.0
"""Bytes of a log as lines in Arrow: cut by numpy, a chunk at a time, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
CHUNK = 8 << 20
"""Bytes that are looked at together: enough for two processors, little beside the memory that there is."""
MAX_LINE = 64 << 20
"""Bytes of one line, or of one document: CloudTrail's files, one line each, have up to 50 MiB."""
_BATCH = 2048  # rows that one thread of DuckDB takes
_NEWLINE, _ASCII = 10, 128
_BOM = b"\xef\xbb\xbf"
_REPLACED = "�"


@dataclass(frozen=True)
class Lines:
    """number: int64, from 1, of each line in its file. text: string. odd: byte sequences that were not UTF-8.

    too_long: lines that were left out.
    """

    number: Any
    text: Any
    odd: int = 0
    too_long: int = 0

    def __len__(self) -> int:
        return len(self.text)

    def table(self) -> pa.Table:
        """Columns number and text, in batches that DuckDB's threads share."""
        return lines_table(self.number, self.text)


def lines_table(number: Any, text: Any) -> pa.Table:
    """The relation that formats are asked over: number int64, text string."""
    import pyarrow as pa

    batch = pa.RecordBatch.from_arrays([number, text], ["number", "text"])
    return pa.Table.from_batches(
        [batch.slice(start, _BATCH) for start in range(0, max(len(batch), 1), _BATCH)], batch.schema
    )


def chunks(blocks: Iterable[bytes], chunk: int = CHUNK, max_line: int = MAX_LINE) -> Iterator[Lines]:
    """Lines of a file, a chunk at a time. A line above max_line is left out and counted, never kept in memory."""
    kept: list[bytes] = []
    size, number, lost, skipping, started = 0, 1, 0, False, False
    for raw in blocks:
        block = raw if started else raw.removeprefix(_BOM)
        started = True
        if skipping:  # inside a line that is too long
            end = block.find(b"\n")
            if end < 0:
                continue
            skipping, number = False, number + 1
            kept.append(block[end + 1 :])
        else:
            kept.append(block)
        size += len(kept[-1])
        if size < chunk:
            continue
        data = b"".join(kept)
        cut = data.rfind(b"\n") + 1
        kept, size = [data[cut:]], len(data) - cut
        if cut:
            every = _lines(data[:cut], number, lost)
            number, lost = number + len(every), 0
            yield every
        if size > max_line:
            kept, size, skipping, lost = [], 0, True, lost + 1
    data = b"".join(kept)
    if data or lost:
        yield _lines(data, number, lost)


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one made by a thread while this one is looked at. Its errors come when it is due."""
    with ThreadPoolExecutor(1, "read") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def whole(blocks: Iterable[bytes], most: int = MAX_LINE) -> bytes | None:
    """All bytes of a file without its byte order mark; None if there are more than `most`."""
    kept: list[bytes] = []
    size = 0
    for block in blocks:
        kept.append(block)
        size += len(block)
        if size > most:
            return None
    return b"".join(kept).removeprefix(_BOM)


def _lines(data: bytes, first: int, lost: int) -> Lines:
    """Lines of whole lines; the last one may lack its newline. One line stays one, whatever bytes it has."""
    import pyarrow as pa

    odd = 0
    flat = np.frombuffer(data, np.uint8)
    if len(flat) and int(flat.max()) >= _ASCII:
        data, odd = _utf8(data)
        flat = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(flat == _NEWLINE) + 1
    if len(data) and (not len(ends) or ends[-1] != len(data)):
        ends = np.append(ends, len(data))
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    text = pa.Array.from_buffers(pa.string(), len(ends), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)])
    return Lines(pa.array(np.arange(first, first + len(ends), dtype=np.int64)), text, odd, lost)


def _utf8(data: bytes) -> tuple[bytes, int]:
    """(the same lines as UTF-8, how many byte sequences were none and are U+FFFD now)."""
    try:
        data.decode()
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        clean = text.encode()
        return clean, text.count(_REPLACED) - data.count(_REPLACED.encode())
    return data, 0
