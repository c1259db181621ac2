# SPDX-License-Identifier: Apache-2.0
"""What is known of an image as a whole, for detections: its moment, over how long it was read, and the gaps."""

from __future__ import annotations

from memir.findings.look import ImageFacts
from memir.kernel.timekeeping import utc, wall_clock
from memir.kube.ram import RamSource

_SECOND = 1_000_000_000


def facts_of(source: RamSource) -> ImageFacts:
    """The facts of a node's RAM, after its tables were read: gaps of tables that are read later are not in them."""
    clock = wall_clock(source.kernel)
    span = source.smear.span
    return ImageFacts(
        tuple(source.gaps),
        source.name,
        None if clock is None else utc(clock),
        None if span is None else span / _SECOND,
        source.smear.text(),
    )
