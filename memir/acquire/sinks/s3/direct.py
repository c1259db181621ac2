# SPDX-License-Identifier: Apache-2.0
"""The S3 sink for bytes that go from the node straight to the bucket; the controller only signs URLs.

The uploader on the node asks for each part with its SHA-256 and gets a URL that is signed for just these
bytes (docs/decisions/presigned-parts.md). Where commands on the node are quick (SSH, pod, local) the requests
and URLs go through files on the node's tmpfs, with one long-waiting command a batch; over SSM they go
through the bucket.
"""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import threading
import time
import zipfile
from collections.abc import Mapping, Sequence

from memir.acquire.facts import NodeRun
from memir.acquire.node_files import node_script, node_text
from memir.acquire.sinks.base import SinkMeta
from memir.acquire.sinks.s3.base import MAX_PARTS
from memir.acquire.sinks.s3.upload import S3Upload
from memir.acquire.transports.base import Result, Transport
from memir.aws.checksum import b64
from memir.aws.errors import calling, cause_code
from memir.aws.presign import put_url
from memir.errors import NodeError, RemoteError, StorageError
from memir.evidence.plan import Check
from memir.evidence.progress import Report
from memir.evidence.records import NodeReceipt, Part, Stored

DONE = re.compile(r'(?:D )?([0-9]{1,5}) ([0-9]{1,15}) ([0-9]{1,12}) ([0-9a-f]{64}) ("?[0-9A-Za-z-]{1,80}"?)')
SEND_LIMIT = 64 << 20

UNABLE = "the node has neither Python 3.6 with its standard library nor bash with curl and sha256sum"
THROUGH = "send the image through the controller, over SSH or a pod (--via controller)"


def _can_run(answer: Result) -> tuple[str, bool]:
    """What node/probe.sh says: the name of a usable Python, "" if none, and whether bash and its helpers are there."""
    python = re.search(r"python=(\S+)", answer.text)
    return python.group(1) if python and python.group(1) != "no" else "", "bash=yes" in answer.text


def archive() -> bytes:
    """The uploader as one file that Python runs as it is; the same bytes for the same memir."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        texts = {f"memir/acquire/node/{name}.py": node_text(f"{name}.py") for name in ("http", "parts")}
        texts |= {f"{folder}/__init__.py": "" for folder in ("memir", "memir/acquire", "memir/acquire/node")}
        texts["__main__.py"] = node_text("upload.py")
        for name in sorted(texts):
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), texts[name])
    return out.getvalue()


class S3DirectSink(S3Upload):
    """Parts go from the node to the bucket."""

    uploader = "auto"
    """auto, python or bash: what sends on the node."""
    _python = ""
    _started = 0.0
    _default_retention: bool | None = None

    def begin(self, meta: SinkMeta) -> None:
        """Create the upload."""
        super().begin(meta)
        self._started = time.monotonic()

    def check_node(self, transport: Transport) -> Sequence[Check]:
        """Whether the node can send by itself, and reaches the store's endpoint."""
        url = str(self.client.meta.endpoint_url)
        script = node_script("probe", "reach", URL=url, REACH=node_text("reach.py"))
        answer = transport.run(script, timeout=90)
        python, bash = _can_run(answer)
        if not python and not bash:
            return (Check("uploader", "fail", UNABLE, THROUGH),)
        able = Check("uploader", "ok", python or "bash, curl")
        if answer.text.split()[-1:] == ["reached"]:
            return (able, Check("the node's way to S3", "ok", url))
        why = answer.error.strip().splitlines()[-1:] or ["no answer"]
        advice = f"a gateway endpoint or a route for the node; or {THROUGH}"
        return (able, Check("the node's way to S3", "fail", f"{url} cannot be reached: {why[0][:300]}", advice))

    def begun(self) -> Mapping[str, object]:
        """For another controller that may have to go on."""
        return {"upload_id": self.upload_id, "part_size": self.part_size}

    def prepare(self, transport: Transport, run: NodeRun) -> None:
        """Choose an uploader that this node can run, put it on tmpfs, check its hash there."""
        python, bash = _can_run(transport.run(node_script("probe"), timeout=60))
        if self.uploader != "bash" and python:
            self._python, name, body = python, "upload.pyz", archive()
        elif self.uploader != "python" and bash:
            self._python, name, body = "", "upload.sh", node_text("upload.sh").encode()
        else:
            raise NodeError(f"{UNABLE}; {THROUGH}")
        transport.put(run.path(name), body, mode=0o600)
        answer = transport.run(f"sha256sum < {shlex.quote(run.path(name))}", timeout=60)
        if answer.text.split(" ", 1)[0] != hashlib.sha256(body).hexdigest():
            raise NodeError(
                f"{run.path(name)} on the node is not what was sent: {answer.text[:80]!r} {answer.error[:200]}"
            )

    def adopt(self, transport: Transport, run: NodeRun) -> None:
        """Take over the uploader that another controller started."""
        answer = transport.run(node_script("probe", "at_work", DIR=run.directory))
        python, _ = _can_run(answer)
        if "upload.pyz" in answer.text and python:
            self._python = python
        elif "upload.sh" not in answer.text:
            raise NodeError(f"{run.directory} on the node has no uploader at work: there is nothing to go on with")
        self.adopted = True

    def consumer(self, run: NodeRun) -> str:
        """The uploader's command line: a directory and numbers, nothing secret."""
        o = self.options
        words = [
            run.directory, str(self.part_size), "--buffers", str(o.buffers), "--rate", f"{o.rate:.0f}",
            "--attempts", str(o.attempts), "--patience", f"{o.patience:.0f}", "--backoff", f"{o.backoff:g}",
        ]  # fmt: skip
        program = ["bash", run.path("upload.sh")]
        if self._python:
            program = [self._python, "-I", "-B", run.path("upload.pyz")]
        return shlex.join(program + words)

    def sign_urls(self, transport: Transport, run: NodeRun, stop: threading.Event, report: Report) -> None:
        """Sign what the node asks for until `stop`; report what the store has."""
        from memir.acquire.sinks.s3.urls import UrlSigner

        signer = UrlSigner(self, transport, run, stop, report)
        if transport.streams or not self._python or self.has_default_retention():
            signer.through_commands()
        else:
            signer.through_bucket()

    def has_default_retention(self) -> bool:
        """Whether the bucket locks every object (then messages would stay, and need checksums)."""
        if self._default_retention is None:
            try:
                with calling("s3:GetBucketObjectLockConfiguration", self.address.url()):
                    answer = self.client.get_object_lock_configuration(Bucket=self.address.bucket)
                rule = answer.get("ObjectLockConfiguration", {}).get("Rule", {})
                self._default_retention = bool(rule.get("DefaultRetention"))
            except RemoteError as error:
                # without the right to ask, assume the careful answer
                self._default_retention = cause_code(error) != "ObjectLockConfigurationNotFoundError"
        return self._default_retention

    def collect(
        self,
        transport: Transport,
        run: NodeRun,
        receipt: NodeReceipt,  # noqa: ARG002  part of the shape that all direct sinks share
    ) -> tuple[Part, ...]:
        """The parts that the node says it stored."""
        answer = transport.run(f"cat {shlex.quote(run.path('done'))} 2>/dev/null", timeout=120, limit=4 << 20)
        parts: dict[int, Part] = {}
        for line in answer.text.splitlines():
            match = DONE.fullmatch(line)
            if match and int(match[1]) <= MAX_PARTS:
                parts[int(match[1])] = Part(int(match[1]), int(match[2]), int(match[3]), match[4], match[5])
        return tuple(parts[number] for number in sorted(parts))

    def send(self, transport: Transport, run: NodeRun, path: str, name: str) -> bytes:
        """Take one file from the node through the store."""
        copy = run.path("send.tmp")
        answer = transport.run(node_script("copy", FILE=path, COPY=copy, LIMIT=SEND_LIMIT + 1), timeout=120)
        words = answer.text.split()
        if answer.code != 0 or len(words) < 2 or not re.fullmatch(r"[0-9]+ [0-9a-f]{64}", " ".join(words[:2])):
            raise NodeError(f"{path} on the node cannot be read: {answer.error.strip()[:300] or answer.code}")
        size, sha256 = int(words[0]), words[1]
        if size > SEND_LIMIT:
            transport.run(f"rm -f {shlex.quote(copy)}", timeout=60)
            raise NodeError(f"{path} on the node is larger than {SEND_LIMIT} bytes")
        bucket, key = self.address.bucket, self.address.key(name)
        url = put_url(self.client, bucket, key, seconds=900, checksum=b64(sha256))
        answer = transport.run(self._put_script(run, copy, b64(sha256)), data=f"{url}\n".encode(), timeout=600)
        if answer.code != 0:
            raise StorageError(
                f"{self.address.url(name)}: the node could not store {path}: {answer.error.strip()[:300]}"
            )
        return self._fetch(name, sha256)

    def _put_script(self, run: NodeRun, copy: str, checksum: str) -> str:
        if self._python:
            send = shlex.join([self._python, "-I", "-B", run.path("upload.pyz"), "--put", copy, checksum])
        else:
            send = node_script("put_curl", FILE=copy, CHECKSUM=checksum)
        return node_script("put", SEND=send, FILE=copy)

    def _fetch(self, name: str, sha256: str) -> bytes:
        with calling("s3:GetObject", self.address.url(name)):
            body: bytes = self.client.get_object(Bucket=self.address.bucket, Key=self.address.key(name))["Body"].read()
        if hashlib.sha256(body).hexdigest() != sha256:
            raise StorageError(f"{self.address.url(name)} is not what the node sent")
        return body

    def commit_parts(self, parts: Sequence[Part], receipt: NodeReceipt) -> Stored:
        """Complete and compare; unfinished when the node did not say that all went well."""
        if receipt.consumer != 0:
            word = str(receipt.extra.get("error", ""))[:500]
            return self.unfinished(parts, [f"the uploader on the node ended with {receipt.consumer}: {word}"])
        if receipt.size is None:
            return self.unfinished(parts, ["the node did not say how many bytes it sent"])
        return self.finish(parts, receipt.size, receipt.sha256)

    def partial_parts(self, parts: Sequence[Part], why: str) -> Stored:
        """Keep what there is."""
        return self.unfinished(parts, [why, *self.errors[-3:]])
