# SPDX-License-Identifier: Apache-2.0
"""Messages between the node and the controller through the bucket, where a command on the node takes seconds.

Each slot is a pair of URLs that only fit one pair of objects: the node PUTs its requests to the first, and
polls the second until the controller's answer is there. An answer brings the next slot. A message from the
node is data from a host that may be hostile: it is bounded, parsed strictly, and can only make the
controller sign URLs for parts of the one upload, each for one SHA-256.

The bucket's objects of a run: PREFIX/.memir-RUN/N.want and N.grant, removed afterwards (every version of
them). A bucket with a default retention would keep them, and refuses a PUT without a checksum: there the
sink goes by commands alone.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from memir.aws.address import S3Address
from memir.aws.client import Client
from memir.aws.errors import ABSENT, calling, cause_code
from memir.aws.presign import put_url
from memir.errors import RemoteError

MAX_MESSAGE = 1 << 20


@dataclass
class Mailbox:
    """The controller's side. `seconds`: how long a slot's URLs live."""

    client: Client
    address: S3Address
    run_id: str
    seconds: int = 3600
    slot: int = 0
    _written: list[tuple[str, str | None]] = field(default_factory=list)

    def key(self, slot: int, side: str) -> str:
        """Key of a message."""
        return self.address.key(f".memir-{self.run_id}/{slot}.{side}")

    def invitation(self, slot: int) -> str:
        """The line that opens a slot to the node."""
        bucket = self.address.bucket
        put = put_url(self.client, bucket, self.key(slot, "want"), seconds=self.seconds)
        get = self.client.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": self.key(slot, "grant")}, ExpiresIn=self.seconds
        )
        return f"M {slot} {put} {get}"

    def find(self) -> None:
        """Take over another controller's mailbox: the slot that the node waits at, by the messages that are there."""
        prefix = self.key(0, "")[: -len("0.")]
        with calling("s3:ListBucket", self.address.url(f".memir-{self.run_id}/")):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.address.bucket, Prefix=prefix)
            keys = [str(item["Key"]) for page in pages for item in page.get("Contents", ())]
        answered = []
        for key in keys:
            number, _, side = key[len(prefix) :].partition(".")
            if number.isdigit() and side == "grant":
                answered.append(int(number))
            self._written.append((key, None))
        self.slot = max(answered, default=-1) + 1

    def receive(self) -> list[str] | None:
        """The node's next message, None while there is none. Raises RemoteError for other trouble."""
        where = self.address.url(f".memir-{self.run_id}/")
        try:
            with calling("s3:GetObject", where):
                answer = self.client.get_object(Bucket=self.address.bucket, Key=self.key(self.slot, "want"))
        except RemoteError as error:
            if cause_code(error) in ABSENT:
                return None
            raise
        self._written.append((self.key(self.slot, "want"), answer.get("VersionId")))
        body: bytes = answer["Body"].read(MAX_MESSAGE)
        return body.decode("ascii", "replace").splitlines()

    def answer(self, lines: list[str]) -> None:
        """Answer the message and open the next slot."""
        text = "\n".join([*lines, self.invitation(self.slot + 1), ""])
        key = self.key(self.slot, "grant")
        with calling("s3:PutObject", self.address.url(f".memir-{self.run_id}/")):
            answer = self.client.put_object(Bucket=self.address.bucket, Key=key, Body=text.encode())
        self._written.append((key, answer.get("VersionId")))
        self.slot += 1

    def close(self) -> list[str]:
        """Remove every message; the keys that could not be removed."""
        # a message that came after the last look
        with contextlib.suppress(RemoteError):
            self.receive()
        left = []
        for key, version in self._written:
            try:
                with calling("s3:DeleteObject", key):
                    known = version or self.client.head_object(Bucket=self.address.bucket, Key=key).get("VersionId")
                    which = {"VersionId": known} if known and known != "null" else {}
                    self.client.delete_object(Bucket=self.address.bucket, Key=key, **which)
            except RemoteError:
                left.append(key)
        self._written.clear()
        return left
