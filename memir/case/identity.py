# SPDX-License-Identifier: Apache-2.0
"""Which image a case is about: what tells one capture from every other, that of the same boot included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_WORDS = {
    "build_id": "kernel build id",
    "boot_id": "boot id",
    "ranges": "physical ranges",
    "clock": "clock",
    "sha256": "SHA-256",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What identifies a capture of a node's RAM; null is not known.

    build_id: the kernel's, in hex. boot_id: UUID of the boot; a boot that nobody asked for it has none. ranges: (first
    physical address, bytes) of what the image holds. clock: the image's own clock, nanoseconds since 1970 UTC: captures
    of one boot differ in it. sha256: of the image file, where it was hashed. clock_utc: the clock as ISO 8601.
    """

    build_id: str | None
    boot_id: str | None
    ranges: tuple[tuple[int, int], ...]
    clock: int | None
    sha256: str | None = None
    clock_utc: str | None = field(default=None, compare=False)

    def differs(self, other: Identity) -> tuple[str, ...]:
        """Names of the fields that both know and that differ: not empty if these are two images."""
        names = [entry.name for entry in fields(self) if entry.compare]
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in names)
        return tuple(name for name, mine, theirs in pairs if mine is not None and theirs is not None and mine != theirs)

    def same(self, other: Identity) -> bool:
        """Whether both are one image for sure: nothing differs, and the clock or the file's hash is known to agree."""
        proof = any(
            mine is not None and mine == theirs
            for mine, theirs in ((self.clock, other.clock), (self.sha256, other.sha256))
        )
        return proof and not self.differs(other)

    def words(self) -> str:
        """The identity on one line, for messages."""
        size = sum(length for _, length in self.ranges)
        parts = [
            f"kernel {self.build_id[:16]}..." if self.build_id else "kernel build id not known",
            f"boot {self.boot_id}" if self.boot_id else "boot id not known",
            f"{size:,} bytes of RAM in {len(self.ranges)} range{'' if len(self.ranges) == 1 else 's'}",
            f"clock {clock_text(self.clock)}",
        ]
        return ", ".join([*parts, f"SHA-256 {self.sha256[:16]}..."] if self.sha256 else parts)


def difference(mine: Identity, theirs: Identity) -> str:
    """Why two identities are not known to be one image, in words."""
    names = mine.differs(theirs)
    if names:
        return "they differ in " + ", ".join(_WORDS[name] for name in names)
    return "neither clock nor SHA-256 is known of both, so that they cannot be told apart"


def clock_text(clock: int | None) -> str:
    """The image's clock in UTC with all its digits: 2026-11-28T20:12:42.272000000Z."""
    if clock is None:
        return "not known"
    try:
        whole = datetime.fromtimestamp(clock // 10**9, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{clock} ns"
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{clock % 10**9:09d}Z"


def read_identity(
    kernel: Kernel, sha256: str | None = None, progress: Callable[[str, int, int], None] | None = None
) -> Identity:
    """Identity of a located kernel's image. What cannot be read is None and a gap.

    sha256: of the whole image file, if it is known. Where the image's clock cannot be read the file is hashed: nothing
    else would tell two captures of one boot apart.
    """
    from memir.kernel.buildid import build_id
    from memir.kernel.random import boot_id
    from memir.kernel.timekeeping import wall_clock

    memory: Any = kernel.memory
    clock = wall_clock(kernel)
    if clock is None and sha256 is None:
        sha256 = memory.sha256(progress)
    ranges = tuple((int(part.start), int(part.size)) for part in memory.ranges)
    text = None if clock is None else clock_text(clock)
    return Identity(build_id(kernel), boot_id(kernel), ranges, clock, sha256, text)
