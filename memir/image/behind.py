# SPDX-License-Identifier: Apache-2.0
"""What stands behind packed data and is none of it: a mail's signature, a download's error page, a disk's last block.

All packers' own tools leave it out. So does memir, and says how many bytes; where they are many, a further part whose
header is damaged is more likely, and what is before them is read only where a part will do.
"""

from __future__ import annotations

from memir.errors import TruncatedImageError
from memir.image.source import Source, read

_MUCH = 1 << 20  # bytes
_STEP = 4 << 20
_LONGEST = 16  # bytes of a start, rounded up
_SKIPPABLE = tuple(bytes((low, 0x2A, 0x4D, 0x18)) for low in range(0x50, 0x60))  # frames of lz4 and zstd without data

# how a further part of each begins (in all its forms, for those that have several)
STARTS: dict[str, tuple[bytes, ...]] = {
    "gzip": (b"\x1f\x8b",),
    "zstd": (b"\x28\xb5\x2f\xfd", *_SKIPPABLE),
    "xz": (b"\xfd7zXZ\0",),
    "bzip2": tuple(b"BZh%d%s" % (level, block) for level in range(1, 10) for block in (b"1AY&SY", b"\x17rE8P\x90")),
    "lz4": (b"\x04\x22\x4d\x18", *_SKIPPABLE),
}


class Behind:
    """size: bytes that were left out behind the packed data of a source."""

    def __init__(self, source: Source, container: str, allow_truncated: bool) -> None:
        """container: what messages call the data. allow_truncated: a MiB and more is left out too."""
        self._source, self._container, self._allowed = source, container, allow_truncated
        self.size = 0

    @property
    def is_much(self) -> bool:
        """Whether what was left out may be damaged parts of the packed data."""
        return self.size >= _MUCH

    def begins_no_part(self, offset: int) -> bool:
        """Whether no further part begins at an offset within the source; then what stands there is left out.

        The start of a part that the end of the file cuts off is one. TruncatedImageError as in leave_out().
        """
        start = read(self._source, offset, min(_LONGEST, self._source.size - offset))
        if any(start.startswith(magic) or magic.startswith(start) for magic in STARTS[self._container]):
            return False
        self.leave_out(offset)
        return True

    def leave_out(self, offset: int) -> None:
        """Count what stands at an offset; TruncatedImageError if it is a MiB or more and that is not allowed."""
        self.size = self._source.size - offset
        if self.is_much and not self._allowed:
            raise TruncatedImageError(
                f"{self._source.name}: the {self.size} bytes from offset {offset:#x} on are no {self._container} data; "
                "a further part may be damaged there: copy the file again, or read what is before them with "
                "--allow-truncated"
            )


def after_zeros(source: Source, offset: int) -> int:
    """The first offset from this one on that is not zero; the source's size if all are. Padding of tapes and disks."""
    while offset < source.size:
        data = read(source, offset, min(_STEP, source.size - offset))
        zeros = len(data) - len(data.lstrip(b"\0"))
        offset += zeros
        if zeros < len(data):
            break
    return offset
