# SPDX-License-Identifier: Apache-2.0
"""A run on a rig's node, what is left of it, and the streams that a tool sends of such a node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.local import LocalTransport
from memir.evidence.custody import read_chain
from tests.acquire.rigs.noderig import MIB, NodeRig, Segment
from tests.acquire.rigs.wait import until


def job(rig: NodeRig, folder: Path, tool: Path, **changes: Any) -> Acquisition:
    report = changes.pop("report", lambda _: None)
    chosen: dict[str, Any] = {"tool_path": tool, "format": "lime", "context": False, "grace": 10} | changes
    options = Options(**chosen)
    return Acquisition(LocalTransport(rig.root), FileSink(folder), folder, options, report=report)


def records(folder: Path) -> list[Mapping[str, Any]]:
    return list(read_chain((folder / "manifest.jsonl").read_bytes()).records)


def clean(rig: NodeRig) -> bool:
    """Nothing left; waits for the watchdog if it has to be its work."""
    until(lambda: not rig.left() and not rig.processes(), lambda: f"left {rig.left()}, running {rig.processes()}")
    return True


def clean_but_sshd(rig: NodeRig) -> bool:
    """The same, where the rig's own sshd goes on."""

    def others() -> list[str]:
        return [line for line in rig.processes() if not line.startswith("sshd")]

    until(lambda: not rig.left() and not others(), lambda: f"left {rig.left()}, running {others()}")
    return True


def memory_of(image: Path) -> dict[int, bytes]:
    """The records of a LiME file, merged where they touch, by a reader of the test's own."""
    data, out, at = image.read_bytes(), {}, 0
    while at < len(data):
        start = int.from_bytes(data[at + 8 : at + 16], "little")
        size = int.from_bytes(data[at + 16 : at + 24], "little") + 1 - start
        out[start] = data[at + 32 : at + 32 + size]
        at += 32 + size
    return out


def lime(*segments: Segment) -> bytes:
    out = b""
    for one in segments:
        for start in range(one.paddr, one.end, 16 * MIB):
            end = min(one.end, start + 16 * MIB)
            out += b"EMiL\1\0\0\0" + start.to_bytes(8, "little") + (end - 1).to_bytes(8, "little") + bytes(8)
            out += one.data[start - one.paddr : end - one.paddr]
    return out


def stream_of(node: NodeRig) -> bytes:
    """What AVML sends of a node: whole blocks of zeros left out."""
    pieces = [
        Segment(start, one.data[start - one.paddr : start - one.paddr + 16 * MIB])
        for one in node.segments
        for start in range(one.paddr, one.end, 16 * MIB)
    ]
    return lime(*(piece for piece in pieces if any(piece.data)))
