# SPDX-License-Identifier: Apache-2.0
"""What is too large for SSM goes through the bucket: envelopes to the node, large outputs back."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from dataclasses import dataclass

from memir.acquire.node_files import node_script, node_text
from memir.aws.address import S3Address
from memir.aws.checksum import b64
from memir.aws.client import Client
from memir.aws.errors import calling
from memir.aws.presign import put_url
from memir.errors import RemoteError, StorageError

SECONDS = 900


def send_script(path: str, sha256: str, http: str) -> str:
    """The node's script that stores a file by the URL on its standard input, and removes it; http: curl or python3."""
    if http == "curl":
        send = node_script("put_curl", FILE=path, CHECKSUM=b64(sha256))
    else:
        send = shlex.join(["python3", "-I", "-c", node_text("put.py"), path, b64(sha256)])
    return node_script("put", SEND=send, FILE=path)


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
        return put_url(self.client, self.address.bucket, self.key(name), seconds=SECONDS, checksum=b64(sha256))

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
