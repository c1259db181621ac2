# SPDX-License-Identifier: Apache-2.0
"""What an image is, as a person reads it in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from memir.report.cells import duration
from memir.report.grid import print_facts
from memir.report.summary import clock_words

_RANGES = 16
"""Ranges that are listed: nodes have up to a dozen; a file that holds more is listed in --json."""


def print_image(facts: Mapping[str, Any]) -> None:
    """Facts as memir.describe gives them."""
    ranges = facts["ranges"]
    lines: list[tuple[str, object]] = [
        ("image", facts["image"]),
        ("format", facts["format"] + (f" inside {facts['container']}" if facts["container"] else "")),
        ("file", f"{facts['file_size']:,} bytes"),
        ("RAM", f"{facts['ram_size']:,} bytes in {len(ranges)} range{'s' if len(ranges) != 1 else ''}"),
        *(("", f"{part['start']:#014x} - {part['start'] + part['size'] - 1:#014x}") for part in ranges[:_RANGES]),
    ]
    if len(ranges) > _RANGES:
        lines.append(("", f"... and {len(ranges) - _RANGES} more"))
    if facts["missing"] == 1:  # a packed file that ends early and does not say how long it was
        lines.append(("MISSING", "the file ends early; how much it lacks it does not say"))
    elif facts["missing"]:
        lines.append(("MISSING", f"{facts['missing']:,} bytes that the headers promise are not in the file"))
    if facts["coverage"]:
        lines.append(("coverage", facts["coverage"]))
    if facts["sha256"]:
        lines.append(("sha256", facts["sha256"]))
    if facts["kernel"] is not None:
        lines += _kernel(facts)
    print_facts(lines)


def _kernel(facts: Mapping[str, Any]) -> list[tuple[str, object]]:
    kernel = facts["kernel"]
    clock, booted = facts["clock"], facts["booted"]
    uptime = ""
    if clock and booted:
        seconds = (datetime.fromisoformat(clock) - datetime.fromisoformat(booted)).total_seconds()
        uptime = f", {duration(seconds)} after the node was started"
    return [
        ("taken", clock_words(clock) + uptime),
        ("smear", facts["smear"]["text"]),
        ("kernel", kernel["banner"]),
        ("architecture", f"{kernel['arch']}, {kernel['paging_levels']}-level page tables at {kernel['page_table']:#x}"),
        ("KASLR shift", "not known" if kernel["kaslr_shift"] is None else f"{kernel['kaslr_shift']:#x}"),
        ("build id", kernel["build_id"] or "not known"),
        ("types", kernel["sources"]["types"]),
        ("symbols", f"{kernel['symbols']:,} from {kernel['sources']['symbols']}"),
        *(("gap", f"{gap['kind']}: {gap['why']} ({gap['count']})") for gap in facts["gaps"]),
    ]
