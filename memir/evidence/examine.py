# SPDX-License-Identifier: Apache-2.0
"""The image of an evidence folder read again: parts, whole, ranges against System RAM, the kernel's own name in it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from memir.errors import CustodyError, ImageError
from memir.evidence.coverage import coverage_of, most_records
from memir.evidence.folder import IMAGE, PARTIAL, SUFFIX, open_file
from memir.evidence.iomem import parse_iomem, parse_reserved
from memir.evidence.opened import BannerFinder, look_inside
from memir.evidence.parts import PartReader, check_parts, read_image
from memir.evidence.progress import Progress, Report
from memir.evidence.records import MAX_PARTS, Begin, Image, ToolRecord
from memir.evidence.walker import RecordWalker


@dataclass
class Examination:
    """problems: (where, what) that does not match the records. missing: why the image is not whole. read: whether it
    was read at all."""

    read: bool = False
    problems: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)


def examine(
    folder: Path, image: Image, begin: Begin | None, tool: ToolRecord | None, reader: PartReader | None, *,
    deep: bool, report: Report,
) -> Examination:  # fmt: skip
    """Read the image from where the record says it is. deep: look for the kernel in it. Raises RemoteError."""
    examination = Examination()
    if not image.where:
        examination.missing.append("no image is recorded")
        return examination
    if len(image.parts) > MAX_PARTS:
        examination.problems.append((image.where, f"has {len(image.parts):,} parts, {MAX_PARTS:,} are possible"))
        return examination
    kernel = begin.node.kernel if begin else ""
    finder = BannerFinder(kernel)
    remote = image.where.startswith("s3://")
    ram = parse_iomem(begin.node.iomem.encode("utf-8", "surrogateescape")) if begin else ()
    walker = RecordWalker(finder if deep and remote else None, most_records(ram))
    if remote:
        if not _read_remote(image, reader, walker, examination, report):
            return examination
        banner = finder.banner
    else:
        if not _read_local(folder, image, walker, examination, report):
            return examination
        banner = _look(folder, image, kernel, examination) if deep and image.complete else ""
    examination.read = True
    if not image.complete:
        examination.notes.append(f"{image.where} is kept as partial; its ranges are not judged")
        return examination
    _ranges(walker, begin, tool, examination)
    if deep and banner:
        examination.checked.append(f"the image opens, {banner}")
    elif deep:
        examination.problems.append((image.where, f"the kernel {kernel} does not name itself in it"))
    return examination


def _read_remote(
    image: Image, reader: PartReader | None, walker: RecordWalker, examination: Examination, report: Report
) -> bool:
    if not image.complete:
        examination.notes.append(f"{image.where} is an unfinished upload: its parts cannot be read back")
        return False
    if reader is None:
        examination.notes.append(
            f"{image.where} was not read: a bucket that a folder names is not asked with your credentials unless you "
            "say so with --fetch"
        )
        return False
    version = str(image.stored.get("VersionId") or "")

    def step(done: int) -> None:
        report(Progress(done, image.size, 0.0, "verify"))

    problems = read_image(image.where, version, image.size, image.sha256, image.parts, reader, walker, step)
    examination.problems += list(problems)
    examination.checked.append(f"{walker.offset:,} bytes of the image in S3")
    return True


def _read_local(folder: Path, image: Image, walker: RecordWalker, examination: Examination, report: Report) -> bool:
    """Hash the whole and every part in one reading."""
    names = [IMAGE + suffix for suffix in SUFFIX.values()]
    if image.where not in {*names, *(name + PARTIAL for name in names)}:
        examination.problems.append((image.where, "is no name of an image in this folder"))
        return False
    try:
        descriptor = open_file(folder, image.where)
    except FileNotFoundError:
        examination.problems.append((image.where, "is missing"))
        return False
    except CustodyError as error:
        examination.problems.append((image.where, str(error)))
        return False
    digest = ""
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(file.fileno()).st_size

        def step(done: int) -> None:
            report(Progress(done, size, 0.0, "verify"))

        for where, what in check_parts(file, image.parts, walker, image.where, step):
            if not where:
                digest = what
            elif where != image.where or image.complete:
                examination.problems.append((where, what))
    if size != image.size:
        examination.problems.append((image.where, f"has {size:,} bytes, recorded are {image.size:,}"))
    elif digest != image.sha256:
        examination.problems.append((image.where, f"has SHA-256 {digest}, recorded is {image.sha256}"))
    examination.checked.append(f"{walker.offset:,} bytes of the image in {len(image.parts)} parts")
    return True


def _look(folder: Path, image: Image, kernel: str, examination: Examination) -> str:
    try:
        _, banner = look_inside(str(folder / image.where), kernel)
    except ImageError as error:
        examination.problems.append((image.where, f"does not open: {error}"))
        return ""
    return banner


def _ranges(walker: RecordWalker, begin: Begin | None, tool: ToolRecord | None, examination: Examination) -> None:
    node = begin.node if begin else None
    iomem = node.iomem.encode("utf-8", "surrogateescape") if node else b""
    ram = parse_iomem(iomem)
    if walker.torn:
        examination.problems.append(("image", f"stops inside a record: {walker.torn}"))
    _, wrong, notes = coverage_of(
        ram, walker.ranges, begin.kcore if begin else (), tool.tool if tool else "",
        mem_total=node.mem_total if node else 0, reserved=parse_reserved(iomem),
        instance_memory=begin.instance_memory if begin else 0,
    )  # fmt: skip
    examination.problems += [("image", what) for what in wrong]
    examination.notes += notes
    examination.checked.append(f"{len(walker.ranges):,} ranges against {len(ram)} of System RAM")
