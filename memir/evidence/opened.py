# SPDX-License-Identifier: Apache-2.0
"""The image opened as the analysis opens it, and the kernel's own name looked for in it."""

from __future__ import annotations

import re
from pathlib import Path

from memir.evidence.ranges import Range
from memir.evidence.walker import RecordWalker

CHUNK = 4 << 20  # a banner lies anywhere in RAM: large reads, bounded memory
LONGEST = 512  # banners have some 200 characters; kept from a chunk to the next, so that none is cut
_WHOLE = re.compile(rb"(?:[^ ]* )?\([ -~]+\) #\d[ -~]*")
"""Builder, compiler, number and date; a piece of it (in a log that was packed, say) is no banner."""


def look_inside(where: str, kernel: str) -> tuple[list[Range], str]:
    """The image's ranges, and the kernel's banner of that release, "" if it is not there.

    where: a path. kernel: `uname -r` of the node; "" takes any. Raises ImageError when
    the image does not open, or ends before its headers say.
    """
    from memir.image.open import open_image

    with open_image(where) as memory:
        ranges = [(part.start, part.end) for part in memory.ranges]
    finder = BannerFinder(kernel)
    walker = RecordWalker(finder)
    # read, not mapped: the file's pages would count as this process's memory
    with Path(where).open("rb") as file:
        while not finder.banner and (chunk := file.read(CHUNK)):
            walker.feed(chunk)
    return ranges, finder.banner


class BannerFinder:
    """Looks for the kernel's banner in RAM that comes in pieces; `banner` is "" until it is found."""

    def __init__(self, kernel: str) -> None:
        self.wanted = _wanted(kernel)
        self.banner = ""
        self._tail = b""

    def __call__(self, piece: bytes) -> bool:
        """Look at the next piece; True when there is nothing more to look for."""
        data = self._tail + piece
        self.banner = _banner_in(data, self.wanted)
        self._tail = data[-LONGEST:]
        return bool(self.banner)


def _wanted(kernel: str) -> bytes:
    return b"Linux version " + kernel.encode("utf-8", "surrogateescape") + (b" " if kernel else b"")


def _banner_in(data: bytes, wanted: bytes) -> str:
    offset = data.find(wanted)
    while offset >= 0:
        text = data[offset : offset + LONGEST]
        end = min((i for i in (text.find(b"\n"), text.find(b"\0")) if i > 0), default=0)
        if _WHOLE.fullmatch(text[len(wanted) : end]):
            return text[:end].decode("ascii")
        offset = data.find(wanted, offset + 1)
    return ""
