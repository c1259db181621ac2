# SPDX-License-Identifier: Apache-2.0
"""The run's own judgement of its image (memir/evidence/judge.py), read back from where it is stored."""

from __future__ import annotations

from collections.abc import Sequence

from memir.acquire.capture import Captured
from memir.acquire.preflight import NodeState
from memir.acquire.tools.base import Tool
from memir.errors import ImageError, RemoteError
from memir.evidence.coverage import coverage_of
from memir.evidence.iomem import parse_reserved
from memir.evidence.judge import Verdict, stream_problems
from memir.evidence.opened import BannerFinder, look_inside
from memir.evidence.parts import PartReader, read_image
from memir.evidence.ranges import Range
from memir.evidence.records import Stored
from memir.evidence.walker import RecordWalker


def judge_image(
    reasons: Sequence[str], tool: Tool, captured: Captured, node: NodeState, reader: PartReader | None = None,
    instance_memory: int = 0,
) -> Verdict:
    """Everything together.

    Why the run stopped, the codes and hashes, the coverage, and the kernel in the image.
    """
    wrong = [*reasons, *captured.problems]
    if not reasons:
        wrong += stream_problems(captured.receipt, captured.stored, tool.explain)
    if captured.format_problem:
        wrong.append(captured.format_problem)
    if captured.stored is None:
        return Verdict(tuple(dict.fromkeys(wrong or ["nothing was stored"])))
    notes: list[str] = []
    coverage = None
    ranges = None
    if captured.walker is not None:
        if captured.walker.torn and not captured.format_problem:
            wrong.append(f"the stream stops inside a record: {captured.walker.torn}")
        ranges = captured.walker.ranges
    banner = ""
    if not wrong:
        try:
            seen, banner, amiss = inspect(captured.stored, node.facts.kernel, reader)
            wrong += amiss
            ranges = ranges if ranges is not None else seen
            if not banner and not amiss:
                wrong.append(f"the image opens, but the kernel {node.facts.kernel} does not name itself in it")
        except (ImageError, RemoteError) as error:
            wrong.append(f"the image does not open: {error}")
    if ranges is not None:
        coverage, lacking, notes = coverage_of(
            node.ram, ranges, node.kcore, tool.name, ended=captured.receipt is not None and captured.receipt.tool == 0,
            mem_total=node.facts.mem_total, reserved=parse_reserved(node.facts.iomem), instance_memory=instance_memory,
        )  # fmt: skip
        wrong += lacking
    return Verdict(tuple(dict.fromkeys(wrong)), coverage, banner, tuple(notes))


def inspect(stored: Stored, kernel: str, reader: PartReader | None) -> tuple[list[Range], str, list[str]]:
    """The stored image's ranges and its kernel's banner, and what does not match: read from where it is stored.

    An image in S3 is read through once by `reader`, hashed again on the way.
    """
    if not stored.where.startswith("s3://") or reader is None:
        return *look_inside(stored.where, kernel), []
    finder = BannerFinder(kernel)
    walker = RecordWalker(finder)
    version = str(stored.receipt.get("VersionId") or "")
    problems = read_image(stored.where, version, stored.size, stored.sha256, stored.parts, reader, walker)
    wrong = [f"{place} {what}" for place, what in problems]
    if walker.torn and not wrong:
        wrong.append(f"the stored image stops inside a record: {walker.torn}")
    return walker.ranges, finder.banner, wrong
