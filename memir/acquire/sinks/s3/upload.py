# SPDX-License-Identifier: Apache-2.0
"""One multipart upload: create or resume, sign parts, list, complete, and compare what the store holds."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memir.acquire.sinks.base import SinkMeta
from memir.acquire.sinks.s3.base import MAX_PARTS, MIN_PART, S3Sink, part_size, tidy
from memir.acquire.sinks.s3.options import S3Options
from memir.aws.address import S3Address
from memir.aws.checksum import b64, composite
from memir.aws.client import Client
from memir.aws.errors import calling, cause_status, region_of
from memir.errors import RemoteError, StorageError
from memir.evidence.records import Part, Scalar, Stored

WANT = re.compile(r"(?:W )?([0-9]{1,5}) ([0-9]{1,12}) ([0-9a-f]{64}) ([0-9]{1,4})")
SLACK = 1.02
"""A stream may be this much larger than the RAM that the node announced: more parts are not signed."""
MAX_RENEWALS = 50


@dataclass(frozen=True, slots=True)
class Held:
    """A part as the store lists it."""

    size: int
    etags: frozenset[str]


class S3Upload(S3Sink):
    """An S3 sink that has one upload; the two kinds of sink differ in who sends the parts."""

    upload_id = ""
    part_size = 0
    smallest_part = MIN_PART
    adopted = False
    """Another controller began this upload."""
    bound: tuple[int, str] = (0, "")
    """How many bytes the node may send at most, and why; (0, "") is no bound."""
    refusal: StorageError | None = None
    """Why a part was refused: what the node sends is not what was begun."""

    def __init__(self, address: S3Address, options: S3Options, client: Client | None = None) -> None:
        super().__init__(address, options, client)
        self.errors: list[str] = []

    def begin(self, meta: SinkMeta) -> None:
        """Create the upload, or find the one to resume. Raises StorageError, AccessError."""
        self._meta = meta
        self.where = self.address.url(meta.name)
        self.part_size = self.options.part_size or part_size(meta.ram_bytes, self.smallest_part)
        bucket, key = self.address.bucket, self.address.key(meta.name)
        self._refuse_region(bucket)
        if self.options.resume:
            self.upload_id = self.options.resume
            self.held()
            return
        owner = self.options.connection.owner
        with calling("s3:PutObject", f"{self.where} (--bucket-owner {owner})" if owner else self.where):
            answer = self.client.create_multipart_upload(
                Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256",
                Metadata={"memir-run": meta.run_id, "memir-node": meta.node[:200]},
                **self.lock_arguments(), **self.key_arguments(),
            )  # fmt: skip
        self.upload_id = answer["UploadId"]

    def _refuse_region(self, bucket: str) -> None:
        """The client follows a bucket to its region by itself; the node's URLs would not."""
        try:
            with calling("s3:ListBucket", self.where):
                answer = self.client.head_bucket(Bucket=bucket)
            there = str(answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", ""))
        except RemoteError as error:
            if cause_status(error) == 404:
                raise StorageError(f"{self.where}: the bucket does not exist: create it before the run") from error
            if cause_status(error) not in (301, 400, 403):
                raise
            there = region_of(error.__cause__)
        ours = self.client.meta.region_name
        if there and ours and there != ours:
            raise StorageError(f"{self.where} is in region {there}, not {ours}: pass --region {there}")

    def sign(self, number: int, size: int, sha256: str) -> str:
        """A URL that stores exactly this part. Raises StorageError for what no upload can hold."""
        most = int(self.expected * SLACK) // self.part_size + 2 if self.expected else MAX_PARTS
        if not 1 <= number <= min(most, MAX_PARTS) or not 0 < size <= self.part_size:
            raise StorageError(f"{self.where}: part {number} of {size} bytes was asked for; refused")
        # all parts but the last are full, so that a part's number tells where it ends
        most_bytes, why = self.bound
        if most_bytes and (number - 1) * self.part_size + size > most_bytes:
            raise StorageError(
                f"{self.where}: the node sends more than {most_bytes:,} bytes ({why}): refused at part {number}; what "
                "came before is kept"
            )
        url: str = self.client.generate_presigned_url(
            "upload_part",
            Params={
                "Bucket": self.address.bucket, "Key": self.address.key(self.image_name),
                "UploadId": self.upload_id, "PartNumber": number, "ChecksumSHA256": b64(sha256),
                "ContentLength": size,
            },
            ExpiresIn=self.options.url_seconds,
        )  # fmt: skip
        return url

    def grants(self, lines: Iterable[str]) -> list[str]:
        """Answer requests with URLs. What is not a request for a part of this upload is not answered."""
        out = []
        for line in lines:
            request = WANT.fullmatch(line)
            if not request:
                continue
            number, size, sha256, attempt = int(request[1]), int(request[2]), request[3], int(request[4])
            if attempt > MAX_RENEWALS:
                continue
            try:
                out.append(f"{number} {attempt} {self.sign(number, size, sha256)}")
            except StorageError as error:
                if self.refusal is None:
                    self.errors.append(str(error))
                self.refusal = self.refusal or error
                out.append("STOP the controller refuses this part")
        return out

    def held(self) -> dict[int, Held]:
        """The parts that the store has. A part that was sent twice keeps both ETags (seaweedfs lists
        both)."""
        parts: dict[int, Held] = {}
        marker = 0
        with calling("s3:ListMultipartUploadParts", self.where):
            while True:
                answer = self.client.list_parts(
                    Bucket=self.address.bucket, Key=self.address.key(self.image_name),
                    UploadId=self.upload_id, PartNumberMarker=marker,
                )  # fmt: skip
                for part in answer.get("Parts", []):
                    number, etag = part["PartNumber"], part["ETag"]
                    etags = parts[number].etags if number in parts else frozenset()
                    parts[number] = Held(part["Size"], etags | {etag})
                marker = answer.get("NextPartNumberMarker", 0)
                if not answer.get("IsTruncated") or not marker:
                    return parts

    def lacking(self, parts: Sequence[Part], size: int | None) -> list[str]:
        """What is wrong with a list of parts before it may be completed, in words; empty when nothing is."""
        if not parts:
            return ["no part was stored"]
        problems, offset, held = [], 0, self.held()
        for number, part in enumerate(parts, 1):
            if part.number != number or part.offset != offset:
                problems.append(f"part {number} at byte {offset} is missing")
                break
            if number < len(parts) and part.size != self.part_size:
                problems.append(f"part {number} has {part.size} bytes instead of {self.part_size}")
            there = held.get(number)
            if there is None or there.size != part.size or part.etag not in there.etags:
                problems.append(f"the store does not hold part {number} as the node sent it")
            offset += part.size
        extra = sorted(set(held) - {part.number for part in parts})
        if extra:
            problems.append(f"the store holds parts that the node did not report: {extra[:10]}")
        if size is not None and offset != size:
            problems.append(f"the parts hold {offset} bytes, the node sent {size}")
        return problems

    def finish(self, parts: Sequence[Part], size: int | None, sha256: str) -> Stored:
        """Complete, then compare. Complete is False, with reasons, unless everything is equal."""
        parts = sorted(parts, key=lambda part: part.number)
        wrong = self.lacking(parts, size)
        if wrong:
            return self.unfinished(parts, wrong)
        total = sum(part.size for part in parts)
        try:
            receipt = self._complete(parts, total)
        except RemoteError as error:
            return self.unfinished(parts, [f"the upload could not be completed: {error}"])
        wrong = self._compare(parts, total, receipt)
        return Stored(
            where=self.where, size=total, sha256=sha256, parts=tuple(parts), complete=not wrong,
            missing=tuple(wrong), receipt=receipt | {"UploadId": self.upload_id, "PartSize": self.part_size},
        )  # fmt: skip

    def _complete(self, parts: Sequence[Part], total: int) -> dict[str, Scalar]:
        bucket, key = self.address.bucket, self.address.key(self.image_name)
        listed = [{"PartNumber": part.number, "ETag": part.etag, "ChecksumSHA256": b64(part.sha256)} for part in parts]
        try:
            with calling("s3:PutObject", self.where):
                answer = self.client.complete_multipart_upload(
                    Bucket=bucket, Key=key, UploadId=self.upload_id, MultipartUpload={"Parts": listed},
                    IfNoneMatch="*", MpuObjectSize=total,
                )  # fmt: skip
        except RemoteError:
            # a lost answer and its retry look like a refusal: what the store holds decides
            receipt = self._head(None)
            if receipt.get("ChecksumSHA256") == composite([part.sha256 for part in parts]):
                return receipt
            raise
        return self._head(answer.get("VersionId"))

    def _head(self, version: str | None) -> dict[str, Scalar]:
        """What the store says about the image; {} when it is not there."""
        which: dict[str, Any] = {"VersionId": version} if version else {}
        try:
            with calling("s3:GetObject", self.where):
                answer = self.client.head_object(
                    Bucket=self.address.bucket, Key=self.address.key(self.image_name), ChecksumMode="ENABLED", **which
                )
        except RemoteError:
            return {}
        return tidy(answer)

    def _compare(self, parts: Sequence[Part], total: int, receipt: dict[str, Scalar]) -> list[str]:
        wrong = []
        if receipt.get("ContentLength") != total:
            wrong.append(f"the store holds {receipt.get('ContentLength')} bytes instead of {total}")
        expected = composite([part.sha256 for part in parts])
        if receipt.get("ChecksumSHA256") != expected:
            wrong.append(f"the store's SHA-256 is {receipt.get('ChecksumSHA256')}, the node's parts give {expected}")
        if self.options.lock_mode and receipt.get("ObjectLockMode") != self.options.lock_mode:
            wrong.append(f"Object Lock is {receipt.get('ObjectLockMode')} instead of {self.options.lock_mode}")
        return wrong

    def unfinished(self, parts: Sequence[Part], why: Sequence[str]) -> Stored:
        """Keep the upload as it is."""
        held = sum(part.size for part in parts)
        listing = (
            f"aws s3api list-parts --bucket {self.address.bucket} "
            f"--key {shlex.quote(self.address.key(self.image_name))} --upload-id {self.upload_id}"
        )
        return Stored(
            where=self.where, size=held, sha256="", parts=tuple(parts), complete=False, missing=tuple(why),
            resume=f"the parts are kept in upload {self.upload_id} (`{listing}`) until it is aborted, by you or by a "
            "rule of the bucket",
            receipt={"UploadId": self.upload_id, "PartSize": self.part_size},
        )  # fmt: skip

    def reread(self, parts: Sequence[Part]) -> list[str]:
        """Read the whole image back and compare each part's SHA-256; the parts that differ, in words."""
        wrong = []
        with calling("s3:GetObject", self.where):
            body = self.client.get_object(Bucket=self.address.bucket, Key=self.address.key(self.image_name))["Body"]
            for part in parts:
                digest, left = hashlib.sha256(), part.size
                while left and (chunk := body.read(min(left, 1 << 20))):
                    digest.update(chunk)
                    left -= len(chunk)
                if left or digest.hexdigest() != part.sha256:
                    wrong.append(f"part {part.number} at byte {part.offset} differs from what the node sent")
        return wrong

    def with_name(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """Parts with quoted ETags, as the store lists them."""
        return tuple(replace(part, etag=part.etag if part.etag.startswith('"') else f'"{part.etag}"') for part in parts)
