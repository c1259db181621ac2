# SPDX-License-Identifier: Apache-2.0
"""Check an evidence folder from beginning to end and say exactly what does not match.

Nothing in the folder is trusted: nothing in it is followed, every number is computed again, and the recorded verdict
is judged again from the records (the tool's exit code, hashes, the image itself, its coverage of System RAM).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memir.errors import CustodyError, UsageError
from memir.evidence.collected import Collection, CollectionBegin, collection_problems, cut_files
from memir.evidence.custody import Chain, check_signature, load_public, read_chain, signed_message
from memir.evidence.examine import Examination, examine
from memir.evidence.files import check_files, check_names
from memir.evidence.findings import Findings, Problem
from memir.evidence.folder import (
    IMAGE,
    MANIFEST,
    PARTIAL,
    RECEIPT,
    SIGNATURE,
    SUFFIX,
    TIMESTAMP,
    entries,
    read_file,
    read_manifest,
)
from memir.evidence.judge import stream_problems
from memir.evidence.parts import PartReader
from memir.evidence.pod_receipt import PodReceipt, is_pod_receipt, parse_pod_receipt
from memir.evidence.progress import Report
from memir.evidence.receipt import Receipt, parse_receipt
from memir.evidence.records import Begin, Captured, End, File, Image, ToolRecord, VerdictRecord, files_of, last
from memir.evidence.timestamp import MAX_RESPONSE, TimeStamp, read_timestamp
from memir.text import counted

MAX_RECEIPT, MAX_SIGNATURE = 64 << 20, 1 << 16
EXPECTED = ("case", "node", "run", "who", "boot_id", "transport")


def verify(
    folder: Path, *, public_key: Path | None = None, timestamp_roots: Path | None = None, deep: bool = True,
    reader: PartReader | None = None, expect: Mapping[str, str] | None = None, report: Report = lambda _: None,
) -> Findings:  # fmt: skip
    """Check the chain, the signature, every recorded file, the image's parts and whole, its ranges and kernel.

    public_key: the key that must have signed. timestamp_roots: PEM certificates of trusted time stamp authorities.
    deep: also open the image and look for its kernel. reader: reads an image that is in S3; without one it is not read,
    and so not held to be complete. expect: fields of EXPECTED that the evidence must have.
    Raises CustodyError only when the folder is no evidence folder; UsageError when a key cannot be read.
    """
    expected = check_expected(expect or {})
    trusted = load_public(public_key) if public_key else None
    findings = Findings(str(folder))
    chain = read_chain(read_manifest(folder))
    findings.checked.append(f"{counted(len(chain.records), 'record')} of the manifest")
    if chain.problem:
        findings.wrong(MANIFEST, chain.problem)
    try:
        records = _Records.of(chain.records)
    except CustodyError as error:
        # a record that its own chain vouches for and that is malformed was made so
        findings.wrong(MANIFEST, str(error))
        return findings
    _whose(records, expected, findings)
    _signed(folder, chain, records, trusted, findings)
    _dated(folder, chain, records, timestamp_roots, reader, findings)
    unread = check_files(folder, records.files, records.where, reader, findings, report, cut_files(records.collection))
    receipt = _receipt(folder, records, findings)
    if (records.image or records.collection) is None or records.verdict is None or records.end is None:
        findings.wrong(MANIFEST, "has no end: the run was cut off, or the last records were removed")
    examination = Examination()
    if records.image is not None:
        findings.image = records.image.where
        examination = examine(folder, records.image, records.begin, records.tool, reader, deep=deep, report=report)
        findings.problems += [Problem(where, what) for where, what in examination.problems]
        findings.notes += examination.notes
        findings.checked += examination.checked
    if records.collection is not None:
        _judge_collection(records, records.collection, receipt, findings, unread)
    else:
        _judge(records, receipt, examination, findings)
    _unrecorded(folder, chain, records, findings)
    if records.where and reader is not None:
        known = {MANIFEST, SIGNATURE, TIMESTAMP, RECEIPT} | {file.name for file in records.files}
        check_names(records.where, known, reader, findings)
    return findings


@dataclass(frozen=True, slots=True)
class _Records:
    """The records that are judged by; None where there is none."""

    begin: Begin | None
    resumed: Begin | None
    tool: ToolRecord | None
    captured: Captured | None
    image: Image | None
    pod: CollectionBegin | None
    collection: Collection | None
    verdict: VerdictRecord | None
    end: End | None
    files: Sequence[File]

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> _Records:
        """Raises CustodyError that names the line and the field."""
        return cls(
            last(records, "begin", Begin), last(records, "resumed", Begin), last(records, "tool", ToolRecord),
            last(records, "captured", Captured), last(records, "image", Image),
            last(records, "pod", CollectionBegin), last(records, "collection", Collection),
            last(records, "verdict", VerdictRecord), last(records, "end", End), files_of(records),
        )  # fmt: skip

    @property
    def where(self) -> str:
        """s3://... of a collection's files, "" if they are in the folder."""
        begun = self.collection or self.pod
        return begun.where if begun is not None else ""


def check_expected(expect: Mapping[str, str]) -> Mapping[str, str]:
    """Raises UsageError for a field that evidence does not have."""
    for name in expect:
        if name not in EXPECTED:
            raise UsageError(f"--expect {name}=...: evidence has {', '.join(EXPECTED)}")
    return expect


def _whose(records: _Records, expected: Mapping[str, str], findings: Findings) -> None:
    begin = records.begin
    if begin is None:
        findings.wrong(MANIFEST, "has no begin: nobody can say whose evidence this is")
        return
    names = {
        "run": begin.run, "case": begin.case, "who": begin.who, "node": begin.node.hostname,
        "boot_id": begin.node.boot_id, "kernel": begin.node.kernel, "transport": begin.transport,
        "memir": begin.memir, "began": records_time(begin), "ended": records.end.utc if records.end else "",
    }  # fmt: skip
    findings.whose = {name: value for name, value in names.items() if value}
    for name, value in expected.items():
        known = {names[name]} | ({begin.identity.get("node", "")} if name == "node" else set())
        if value not in known:
            findings.wrong(MANIFEST, f"is of {name} {names[name]!r}, expected was {value!r}")


def records_time(begin: Begin) -> str:
    """When the run began, by its id (its first 15 characters are UTC)."""
    stamp = begin.run[:15]
    if len(stamp) == 15 and stamp[8] == "-" and stamp.replace("-", "").isdigit():
        return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}Z"
    return ""


def _signed(folder: Path, chain: Chain, records: _Records, trusted: Any, findings: Findings) -> None:
    signer = (records.resumed or records.begin).signer if records.begin is not None else ""
    try:
        data = read_file(folder, SIGNATURE, MAX_SIGNATURE)
    except FileNotFoundError:
        if signer:
            findings.wrong(SIGNATURE, f"is missing, though the run began with the key {signer}: it was removed")
        elif trusted is not None:
            findings.wrong(SIGNATURE, "is missing, though a key was given to check it with")
        return
    except CustodyError as error:
        findings.wrong(SIGNATURE, str(error))
        return
    findings.signer, wrong = check_signature(data, chain, trusted)
    if signer and findings.signer and findings.signer != signer:
        wrong.append(f"is by the key {findings.signer}, the run began with {signer}: it was replaced")
    for what in wrong:
        findings.wrong(SIGNATURE, what)
    findings.signature = "bad" if wrong else ("trusted" if trusted is not None else "holds")
    findings.checked.append("the signature")


def _dated(
    folder: Path, chain: Chain, records: _Records, roots: Path | None, reader: PartReader | None, findings: Findings
) -> None:
    stamp: TimeStamp | None = None
    try:
        data = read_file(folder, TIMESTAMP, MAX_RESPONSE)
        stamp, wrong = read_timestamp(data, signed_message(chain.head, len(chain.records)), roots)
        if wrong:
            findings.wrong(TIMESTAMP, wrong)
    except FileNotFoundError:
        if roots is not None:
            findings.wrong(TIMESTAMP, "is missing, though authorities were given to check it with")
    except CustodyError as error:
        findings.wrong(TIMESTAMP, str(error))
    if stamp is not None:
        by = f" by {stamp.authority}" if stamp.authority else ""
        words = "checked" if stamp.checked else "not checked: pass --timestamp-ca FILE"
        findings.dated.append(f"RFC 3161 time stamp of {stamp.time}{by} ({words})")
    image = records.image
    if image is not None and image.where.startswith("s3://") and reader is not None and image.complete:
        facts = reader.facts(image.where, str(image.stored.get("VersionId") or ""))
        if facts.get("ObjectLockMode") == "COMPLIANCE" and facts.get("LastModified"):
            findings.dated.append(
                f"Object Lock in COMPLIANCE mode: the image is in the bucket since {facts['LastModified']}, unchanged"
            )
    if not findings.dated and records.end is not None:
        findings.notes.append(
            f"nothing but the controller's clock dates the end ({records.end.utc}): use --timestamp-url, or Object Lock"
        )


def _receipt(folder: Path, records: _Records, findings: Findings) -> Receipt | PodReceipt | None:
    try:
        data = read_file(folder, RECEIPT, MAX_RECEIPT)
        digest = hashlib.sha256(data).hexdigest()
        if records.end is not None and digest != records.end.receipt:
            findings.wrong(RECEIPT, f"has SHA-256 {digest}, recorded is {records.end.receipt}: it was changed")
        return parse_pod_receipt(data) if is_pod_receipt(data) else parse_receipt(data)
    except FileNotFoundError:
        closed = "`memir acquire close FOLDER`" if records.pod is None else "`memir collect close FOLDER`"
        step = f" ({closed} closes it)" if records.end is None else ""
        findings.wrong(RECEIPT, f"is missing: the run did not end{step}")
    except CustodyError as error:
        findings.wrong(RECEIPT, str(error))
    return None


def _judge_collection(
    records: _Records, collection: Collection, receipt: Receipt | PodReceipt | None, findings: Findings, unread: int
) -> None:
    """The verdict over a pod that was collected, from the records; the recorded one has to agree.

    unread: files that are in a store and were not read.
    """
    recorded, pod = records.verdict, collection.pod
    findings.whose["pod"] = f"{pod.namespace}/{pod.name}" if pod.name else pod.uid
    if recorded is None:
        return
    findings.status, findings.missing = recorded.status, [*findings.missing, *recorded.missing]
    if receipt is not None and (not isinstance(receipt, PodReceipt) or receipt.collection != collection):
        findings.wrong(RECEIPT, "describes another collection than the manifest")
    if receipt is not None and receipt.status != recorded.status:
        findings.wrong(RECEIPT, f"says {receipt.status!r}, the manifest says {recorded.status!r}")
    if recorded.status == "complete":
        for what in collection_problems(collection, [file.name for file in records.files]):
            findings.wrong("verdict", f"says complete, but {what}")
    if unread:
        findings.status = "not read"
        findings.missing.append(f"{unread:,} files at {collection.where} were not read: --fetch reads them there")


def _judge(
    records: _Records, receipt: Receipt | PodReceipt | None, examination: Examination, findings: Findings
) -> None:
    """The verdict, from the records and the image itself; the recorded one has to agree."""
    recorded = records.verdict
    if recorded is None:
        return
    findings.status = recorded.status
    findings.missing += recorded.missing
    if receipt is not None and receipt.status != recorded.status:
        findings.wrong(RECEIPT, f"says {receipt.status!r}, the manifest says {recorded.status!r}")
    if isinstance(receipt, PodReceipt):
        findings.wrong(RECEIPT, "describes a collected pod, the manifest does not")
    elif receipt is not None and records.image is not None and receipt.image != records.image:
        findings.wrong(RECEIPT, "describes another image than the manifest")
    if recorded.status != "complete":
        return
    wrong = list(examination.missing)
    if records.captured is None:
        wrong.append("no record says that the capture ended")
    elif records.image is not None:
        wrong += stream_problems(records.captured.receipt, records.image.as_stored())
    if recorded.missing:
        wrong.append(f"the verdict itself names what is missing: {recorded.missing[0]}")
    for what in wrong:
        findings.wrong("verdict", f"says complete, but {what}")
    if not examination.read:
        findings.status = "not read"
        findings.missing.append(f"the image at {findings.image} was not read")


def _unrecorded(folder: Path, chain: Chain, records: _Records, findings: Findings) -> None:
    """Files that no record names: someone put them there."""
    known = {MANIFEST, SIGNATURE, TIMESTAMP, RECEIPT, findings.image} | {file.name for file in records.files}
    if findings.status != "complete":
        known |= {IMAGE + suffix + PARTIAL for suffix in SUFFIX.values()}
    folders = {"/".join(name.split("/")[:depth]) for name in known for depth in range(1, name.count("/") + 1)}
    for name, kind in entries(folder):
        if kind in {"link", "other"}:
            findings.wrong(name, "is a symbolic link or device, which no run makes: it was put there")
        elif kind == "folder" and name not in folders and not chain.problem:
            findings.wrong(name, "is a folder that no record names")
        elif kind == "file" and name not in known and not chain.problem:
            findings.wrong(name, "is not in the manifest")
