# SPDX-License-Identifier: Apache-2.0
"""What is too large for SSM goes through the bucket: envelopes to the node, large outputs back."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass

from memir.aws.address import S3Address
from memir.aws.checksum import b64
from memir.aws.client import Client
from memir.aws.errors import calling
from memir.errors import RemoteError, StorageError

SECONDS = 900

SEND_CURL = (
    'read -r u && printf \'url = "%s"\\n\' "$u" | curl -K - -sS --fail -H Expect: --retry 4 '
    "--retry-all-errors -o /dev/null -H 'x-amz-checksum-sha256: {checksum}' -T {path}; "
    "c=$?; rm -f {path}; exit $c"
)
SEND_PYTHON = """python3 -I -c '
import sys, urllib.request as u
url = sys.stdin.readline().strip()
body = open(sys.argv[1], "rb").read()
head = {{"x-amz-checksum-sha256": sys.argv[2], "Content-Type": ""}}
u.urlopen(u.Request(url, body, head, method="PUT"), timeout=120)
' {path} {checksum}; c=$?; rm -f {path}; exit $c"""


@dataclass(frozen=True, slots=True)
class Spool:
    """Objects under PREFIX/.memir-NAME, deleted after use."""

    client: Client
    address: S3Address
    name: str

    def key(self, name: str) -> str:
        """Key of an object."""
        return self.address.key(f".memir-{self.name}/{name}")

    def stage(self, body: bytes, name: str) -> str:
        """Store an envelope; a URL to read it."""
        bucket, key = self.address.bucket, self.key(name)
        checksum = b64(hashlib.sha256(body).hexdigest())
        with calling("s3:PutObject", f"s3://{bucket}/{key}"):
            self.client.put_object(Bucket=bucket, Key=key, Body=body, ChecksumSHA256=checksum)
        url: str = self.client.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=SECONDS
        )
        return url

    def invite(self, name: str, sha256: str) -> str:
        """A URL that stores only what has this hash."""
        params = {"Bucket": self.address.bucket, "Key": self.key(name), "ChecksumSHA256": b64(sha256)}
        url: str = self.client.generate_presigned_url("put_object", Params=params, ExpiresIn=SECONDS)
        return url

    def take(self, name: str, sha256: str) -> bytes:
        """Read what the node stored, compare, delete."""
        where = f"s3://{self.address.bucket}/{self.key(name)}"
        try:
            with calling("s3:GetObject", where):
                answer = self.client.get_object(Bucket=self.address.bucket, Key=self.key(name))
                body: bytes = answer["Body"].read()
        finally:
            self.forget(name)
        if hashlib.sha256(body).hexdigest() != sha256:
            raise StorageError(f"{where} is not what the node sent")
        return body

    def forget(self, name: str) -> None:
        """Delete the object's version; where that is denied it stays, as the traces say."""
        with contextlib.suppress(RemoteError), calling("s3:DeleteObject", name):
            answer = self.client.head_object(Bucket=self.address.bucket, Key=self.key(name))
            version = answer.get("VersionId")
            which = {"VersionId": version} if version and version != "null" else {}
            self.client.delete_object(Bucket=self.address.bucket, Key=self.key(name), **which)
