# SPDX-License-Identifier: Apache-2.0
"""A physical hit: what a rule matched, and the page frames that it lies on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from memir.hunt.hexdump import secret_span
from memir.hunt.memory import PAGE
from memir.hunt.units import Unit
from memir.image.gather import U8
from memir.kernel.pagetable import U64

ABSENT = np.uint64((1 << 52) - 1)
"""Stands for a page that is absent or empty among a unit's frames."""
SECRET = "secret"
"""Tag of rules whose matches are shown masked, and name of the metadata that says which part of it is the secret."""
MAX_DATA = 256  # what a table's cell can show; the address leads to the rest
MAX_SECRET = 8192
"""Bytes kept of a match of a rule tagged `secret`: a key of 4,096 bits in base64 twice over."""
CONTEXT = 64  # on either side; a dump shows the nearest half


@dataclass(slots=True)
class Hit:
    """One physical hit. pages: frames that it lies on; offset: of its first byte in the first of them.

    length: bytes matched; data: the first of them. before, after: bytes around it as its unit has them.
    mms: address spaces in whose units the rule matched; None: in a unit that is no process's, so all count.
    """

    rule: str
    rule_namespace: str
    tags: tuple[str, ...]
    meta: tuple[tuple[str, str], ...]
    string: str | None
    pages: tuple[int, ...]
    offset: int
    length: int
    data: bytes
    before: bytes
    after: bytes
    kind: str
    mms: set[int] | None

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two finds the same hit."""
        return self.rule_namespace, self.rule, self.string or "", self.pages, self.offset, self.length

    @property
    def paddr(self) -> int:
        """Physical address of the first byte."""
        return (self.pages[0] << 12) + self.offset


@dataclass(frozen=True, slots=True)
class About:
    """What all hits of one rule in one unit share."""

    rule: str
    namespace: str
    tags: tuple[str, ...]
    meta: tuple[tuple[str, str], ...]
    unit: Unit

    @classmethod
    def of(cls, match: Any, file: str, unit: Unit) -> About:
        """From yara.Match; file: namespace of the file that the rule comes from."""
        meta = tuple((str(key), _text(value)) for key, value in match.meta.items())
        return cls(match.rule, file, tuple(match.tags), meta, unit)

    def length(self, data: U8, offset: int, matched: int) -> int:
        """Bytes of a hit at this offset: the match, and what the rule's metadata `secret` says follows it.

        YARA's regular expressions match some 1,024 bytes at most, and tokens and keys are longer.
        """
        expression = dict(self.meta).get(SECRET) if SECRET in self.tags else None
        if expression is None:
            return matched
        area = data[offset : offset + MAX_SECRET].tobytes()
        span = secret_span(area, expression)
        return matched if span is None or span[0] >= matched or span == (0, len(area)) else max(matched, span[1])

    def hit(self, string: str | None, pages: tuple[int, ...], offset: int, span: tuple[int, int], data: U8) -> Hit:
        """The hit of a string at span (offset and length in the unit's bytes)."""
        begin, length = span
        end = begin + length
        keep = MAX_SECRET if SECRET in self.tags else MAX_DATA
        return Hit(
            self.rule, self.namespace, self.tags, self.meta, string, pages, offset, length,
            data[begin : min(end, begin + keep)].tobytes(), data[max(0, begin - CONTEXT) : begin].tobytes(),
            data[end : end + CONTEXT].tobytes(), self.unit.kind,
            None if self.unit.mms is None else set(self.unit.mms),
        )  # fmt: skip


def frames_of(unit: Unit, slots: U64, offset: int, length: int) -> tuple[tuple[int, ...], int] | None:
    """(frames, offset in the first) of bytes of a unit; None if they only meet because frames were put side
    by side."""
    first, last = offset // PAGE, (offset + max(length, 1) - 1) // PAGE
    frames = slots[first : last + 1]
    if not unit.joined and (np.diff(frames) != 1).any():
        return None
    present = frames[frames != ABSENT]
    if not len(present):
        return None
    return tuple(present.tolist()), offset % PAGE if frames[0] != ABSENT else 0


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
