# SPDX-License-Identifier: Apache-2.0
"""Check an evidence folder from beginning to end and say exactly what does not match.

Nothing in the folder is trusted: names that lead out of it are refused, and every number is computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.errors import CustodyError, ImageError
from memir.evidence.coverage import coverage_of
from memir.evidence.custody import MANIFEST, SIGNATURE, Chain, check_signature, load_public, read_chain
from memir.evidence.folder import IMAGE, PARTIAL, RECEIPT, SUFFIX, inside, read_receipt
from memir.evidence.iomem import parse_iomem
from memir.evidence.opened import BannerFinder, look_inside
from memir.evidence.parts import PartReader, check_parts, read_image
from memir.evidence.progress import Progress, Report
from memir.evidence.records import Part
from memir.evidence.walker import RecordWalker

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not match: where (file, part, record) and what."""

    where: str
    what: str


@dataclass
class Findings:
    """What `verify` found. holds: nothing at all is wrong. complete: and the image is whole."""

    folder: str
    status: str = "unknown"
    image: str = ""
    signer: str = ""
    signature: str = "none"
    checked: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """The record is unbroken and every byte is what was recorded."""
        return not self.problems

    @property
    def complete(self) -> bool:
        """It holds, and it was and is a whole image."""
        return self.holds and self.status == "complete"

    def wrong(self, where: str, what: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(where, what))


def verify(
    folder: Path, *, public_key: Path | None = None, deep: bool = True, reader: PartReader | None = None,
    report: Report = lambda _: None,
) -> Findings:  # fmt: skip
    """Check the chain, the signature, every recorded file, the image's parts and whole, its ranges and
    kernel.

    public_key: the key that must have signed; without it a signature only shows that nothing changed since
    whoever signed. deep: also open the image and look for its kernel. Raises CustodyError only when the
    folder is no evidence folder; UsageError when the public key cannot be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise CustodyError(f"{folder} is no evidence folder: it has no {MANIFEST}")
    trusted = load_public(public_key) if public_key else None
    found = Findings(str(folder))
    chain = read_chain(path.read_bytes())
    found.checked.append(f"{len(chain.records)} records of the manifest")
    if chain.problem:
        found.wrong(MANIFEST, chain.problem)
    _signature(folder, chain, trusted, found)
    _files(folder, chain, found)
    receipt = _receipt(folder, chain, found)
    record = _last(chain, "image")
    verdict = _last(chain, "verdict")
    if record is None or verdict is None or _last(chain, "end") is None:
        found.wrong(MANIFEST, "has no end: the run was cut off, or the last records were removed")
    if record is not None:
        _image(folder, record, chain, found, reader, deep=deep, report=report)
    if verdict is not None:
        found.status = str(verdict.get("status"))
        found.missing += [str(one) for one in verdict.get("missing") or []]
    if receipt is not None and verdict is not None and receipt.get("status") != found.status:
        found.wrong(RECEIPT, f"says {receipt.get('status')!r}, the manifest says {found.status!r}")
    _strangers(folder, chain, found)
    return found


def _last(chain: Chain, event: str) -> Mapping[str, Any] | None:
    return next((record for record in reversed(chain.records) if record.get("event") == event), None)


def _signature(folder: Path, chain: Chain, trusted: Ed25519PublicKey | None, found: Findings) -> None:
    path = folder / SIGNATURE
    if not path.is_file():
        if trusted is not None:
            found.wrong(SIGNATURE, "is missing, though a key was given to check it with")
        return
    found.signer, wrong = check_signature(path.read_bytes(), chain, trusted)
    for what in wrong:
        found.wrong(SIGNATURE, what)
    found.signature = "bad" if wrong else ("trusted" if trusted is not None else "holds")
    found.checked.append("the signature")


def _files(folder: Path, chain: Chain, found: Findings) -> None:
    count = 0
    for record in chain.records:
        if record.get("event") != "file":
            continue
        name = str(record.get("name"))
        path = inside(folder, name)
        count += 1
        if path is None:
            found.wrong(name, "is a name that leads out of the folder")
        elif not path.is_file():
            found.wrong(name, "is missing")
        else:
            _same(path, name, record, found)
    found.checked.append(f"{count} files")


def _same(path: Path, name: str, record: Mapping[str, Any], found: Findings) -> None:
    size = path.stat().st_size
    if size != record.get("size"):
        found.wrong(name, f"has {size:,} bytes, recorded are {record.get('size')!r}")
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != record.get("sha256"):
        found.wrong(name, f"has SHA-256 {digest}, recorded is {record.get('sha256')}")


def _receipt(folder: Path, chain: Chain, found: Findings) -> Mapping[str, Any] | None:
    end = _last(chain, "end")
    try:
        receipt = read_receipt(folder)
    except CustodyError as error:
        found.wrong(RECEIPT, str(error))
        return None
    digest = hashlib.sha256((folder / RECEIPT).read_bytes()).hexdigest()
    if end is not None and digest != end.get("receipt"):
        found.wrong(RECEIPT, f"has SHA-256 {digest}, recorded is {end.get('receipt')}: it was changed")
    return receipt


def _image(
    folder: Path, record: Mapping[str, Any], chain: Chain, found: Findings, reader: PartReader | None, *, deep: bool,
    report: Report,
) -> None:  # fmt: skip
    where = str(record.get("where") or "")
    found.image = where
    if not where:
        return
    kernel = str(((_last(chain, "begin") or {}).get("node") or {}).get("kernel") or "")
    walker = RecordWalker()
    if where.startswith("s3://"):
        if record.get("complete") is not True:
            found.notes.append(f"{where} is an unfinished upload: its parts cannot be read back")
            return
        finder = BannerFinder(kernel)
        walker = RecordWalker(finder if deep else None)
        if reader is None:
            found.notes.append(f"{where} was not read: no access to S3 was given")
            return
        version = str((record.get("stored") or {}).get("VersionId") or "")
        size, sha256 = int(record.get("size") or 0), str(record.get("sha256") or "")
        for place, what in read_image(where, version, size, sha256, list(parts_of(record)), reader, walker):
            found.wrong(place, what)
        found.checked.append(f"{walker.offset:,} bytes of the image in S3")
        _ranges(chain, walker, found)
        if deep:
            _kernel(where, kernel, finder.banner, found)
        return
    path = inside(folder, where)
    if path is None or not path.is_file():
        found.wrong(where, "is missing" if path else "is a name that leads out of the folder")
        return
    _bytes(path, record, found, walker, report)
    if record.get("complete") is not True:
        found.notes.append(f"{where} is kept as partial; its ranges are not judged")
        return
    _ranges(chain, walker, found)
    if deep:
        try:
            _, banner = look_inside(str(path), kernel)
        except ImageError as error:
            found.wrong(where, f"does not open: {error}")
            return
        _kernel(where, kernel, banner, found)


def _kernel(where: str, kernel: str, banner: str, found: Findings) -> None:
    if banner:
        found.checked.append(f"the image opens, {banner}")
    else:
        found.wrong(where, f"the kernel {kernel} does not name itself in it")


def _bytes(path: Path, record: Mapping[str, Any], found: Findings, walker: RecordWalker, report: Report) -> None:
    """Hash the whole and every part in one reading."""
    size, parts = path.stat().st_size, list(parts_of(record))
    digest = ""
    with path.open("rb") as file:
        step = lambda done: report(Progress(done, size, 0.0, "verify"))  # noqa: E731
        for where, what in check_parts(file, parts, walker, path.name, step):
            if not where:
                digest = what
            elif where != path.name or record.get("complete") is True:
                found.wrong(where, what)
    if size != record.get("size"):
        found.wrong(path.name, f"has {size:,} bytes, recorded are {record.get('size')!r}")
    elif digest != record.get("sha256"):
        found.wrong(path.name, f"has SHA-256 {digest}, recorded is {record.get('sha256')}")
    found.checked.append(f"{walker.offset:,} bytes of the image in {len(parts)} parts")


def parts_of(record: Mapping[str, Any]) -> Iterator[Part]:
    """The parts of an image record, those that are not of the right shape left out."""
    for part in record.get("parts") or ():
        if isinstance(part, dict) and all(isinstance(part.get(key), int) for key in ("number", "offset", "size")):
            yield Part(part["number"], part["offset"], part["size"], str(part.get("sha256")))


def _ranges(chain: Chain, walker: RecordWalker, found: Findings) -> None:
    begin = _last(chain, "begin") or {}
    node = begin.get("node") or {}
    tool = _last(chain, "tool") or {}
    ram = parse_iomem(str(node.get("iomem") or "").encode())
    kcore = [(start, end) for start, end in begin.get("kcore") or ()]
    if walker.torn:
        found.wrong("image", f"stops inside a record: {walker.torn}")
    _, wrong, notes = coverage_of(ram, walker.ranges, kcore, str(tool.get("tool")))
    for what in wrong:
        found.wrong("image", what)
    found.notes += notes
    found.checked.append(f"{len(walker.ranges):,} ranges against {len(ram)} of System RAM")


def _strangers(folder: Path, chain: Chain, found: Findings) -> None:
    """Files that no record names: someone put them there."""
    known = {MANIFEST, SIGNATURE, RECEIPT, found.image}
    known |= {str(record.get("name")) for record in chain.records if record.get("event") == "file"}
    known |= {IMAGE + suffix + PARTIAL for suffix in SUFFIX.values() if found.status != "complete"}
    if chain.problem:
        return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in known:
            found.wrong(name, "is not in the manifest")


def summary(found: Findings) -> Mapping[str, Any]:
    """For --json."""
    problems: Sequence[Mapping[str, str]] = [{"where": one.where, "what": one.what} for one in found.problems]
    return {
        "evidence": found.folder,
        "holds": found.holds,
        "complete": found.complete,
        "status": found.status,
        "image": found.image,
        "signature": found.signature,
        "signer": found.signer,
        "checked": found.checked,
        "problems": problems,
        "missing": found.missing,
        "notes": found.notes,
    }
