"""Is the image whole? Every reason why not, in words; an empty list is the only success."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from memir.acquire.base import Tool
from memir.acquire.iomem import AVML_BLOCK, Coverage, Range, compare, merge, show, subtract, total
from memir.acquire.opened import BannerFinder, look_inside
from memir.acquire.preflight import Preflight
from memir.acquire.records import RecordWalker
from memir.acquire.sink import NodeReceipt, Stored
from memir.acquire.stream import Captured
from memir.errors import ImageError, RemoteError


@dataclass(frozen=True, slots=True)
class Verdict:
    """missing: why the image is not whole (empty: it is). banner: the kernel's own words in the image."""

    missing: tuple[str, ...]
    coverage: Coverage | None = None
    banner: str = ""
    notes: tuple[str, ...] = field(default=())


def stream_problems(receipt: NodeReceipt | None, stored: Stored | None, tool: Tool) -> list[str]:
    """What the exit codes, sizes and hashes say."""
    if receipt is None:
        return ["the node's receipt never came: the stream was cut, or the node stopped"]
    wrong = []
    if receipt.tool != 0:
        wrong.append(f"the tool's exit code is {receipt.tool}: {tool.explain(receipt.tool, receipt.log)}")
    if receipt.consumer != 0:
        wrong.append(f"the node's sender ended with {receipt.consumer}")
    if stored is not None:
        wrong += stored.missing
        if receipt.sha256 and stored.sha256 and receipt.sha256 != stored.sha256:
            wrong.append(f"the node sent SHA-256 {receipt.sha256}, stored is {stored.sha256}")
        if receipt.size is not None and receipt.size != stored.size:
            wrong.append(f"the node sent {receipt.size:,} bytes, stored are {stored.size:,}")
        if sum(part.size for part in stored.parts) != stored.size:
            wrong.append("the parts do not add up to the whole")
        if not stored.complete and not wrong:
            wrong.append("the store does not have all of it")
    return wrong


def coverage_of(
    ram: Sequence[Range], got: Sequence[Range], kcore: Sequence[Range], tool: str, *, ended: bool = True
) -> tuple[Coverage, list[str], list[str]]:
    """What the image covers, what is missing, and what is worth a note."""
    zeros = AVML_BLOCK if tool == "avml" else 0
    found = compare(ram, got, kcore if tool == "avml" else (), zeros, ended=ended)
    wrong, notes = [], []
    if not found.ram:
        wrong.append("/proc/iomem showed no System RAM: nothing to compare with")
    if found.missing:
        wrong.append(f"{total(found.missing):,} bytes of System RAM are missing: {show(found.missing)}")
    if len(got) != len(set(got)) or total(got) != total(merge(got)):
        wrong.append("some ranges came twice: two sources may have been joined")
    if found.withheld:
        wrong.append(
            f"/proc/kcore does not give {total(found.withheld):,} bytes of System RAM: {show(found.withheld)}; "
            "LiME may read them"
        )
    if found.zero:
        notes.append(f"{total(found.zero):,} bytes left out as all-zero blocks: {show(found.zero)}")
    edges = subtract(found.unreadable, found.withheld)
    if edges:
        notes.append(f"{total(edges):,} bytes at the edges of RAM are less than a page: {show(edges)}")
    if found.extra:
        notes.append(f"{total(found.extra):,} bytes outside System RAM: {show(found.extra)}")
    return found, wrong, notes


def judge_image(reasons: Sequence[str], tool: Tool, got: Captured, node: Preflight, client: object = None) -> Verdict:
    """Everything together.

    Why the run stopped, the codes and hashes, the coverage, and the kernel in the image.
    """
    wrong = [*reasons, *got.problems]
    if not reasons:
        wrong += stream_problems(got.receipt, got.stored, tool)
    if got.format_problem:
        wrong.append(got.format_problem)
    if got.stored is None:
        return Verdict(tuple(dict.fromkeys(wrong or ["nothing was stored"])))
    notes: list[str] = []
    found = None
    ranges = None
    if got.walker is not None:
        if got.walker.torn and not got.format_problem:
            wrong.append(f"the stream stops inside a record: {got.walker.torn}")
        ranges = got.walker.ranges
    banner = ""
    if not wrong:
        try:
            seen, banner, amiss = inspect(got.stored, node.facts.kernel, client)
            wrong += amiss
            ranges = ranges if ranges is not None else seen
            if not banner and not amiss:
                wrong.append(f"the image opens, but the kernel {node.facts.kernel} does not name itself in it")
        except (ImageError, RemoteError) as error:
            wrong.append(f"the image does not open: {error}")
    if ranges is not None:
        found, lacking, notes = coverage_of(
            node.ram, ranges, node.kcore, tool.name, ended=got.receipt is not None and got.receipt.tool == 0
        )
        wrong += lacking
    return Verdict(tuple(dict.fromkeys(wrong)), found, banner, tuple(notes))


def inspect(stored: Stored, kernel: str, client: object) -> tuple[list[Range], str, list[str]]:
    """The stored image's ranges and its kernel's banner, and what does not match: read from where it is stored.

    An image in S3 is read through once, hashed again on the way; `client` reaches it.
    """
    if not stored.where.startswith("s3://"):
        return *look_inside(stored.where, kernel), []
    from memir.acquire.verify_s3 import read_image

    finder = BannerFinder(kernel)
    walker = RecordWalker(finder)
    record = {
        "size": stored.size, "sha256": stored.sha256, "stored": stored.receipt,
        "parts": [{"number": p.number, "offset": p.offset, "size": p.size, "sha256": p.sha256} for p in stored.parts],
    }  # fmt: skip
    amiss = [f"{place} {what}" for place, what in read_image(stored.where, record, client, walker)]
    if walker.torn and not amiss:
        amiss.append(f"the stored image stops inside a record: {walker.torn}")
    return walker.ranges, finder.banner, amiss
