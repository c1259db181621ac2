# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501, SIM102
"""A strict proxy before the S3 server: refuses what Amazon S3 refuses and seaweedfs accepts; cuts on demand.

Refused as S3 does: chunked transfer encoding (501), PUT without Content-Length (411), headers that a
presigned URL did not sign (403, HeadersNotSigned), part numbers beyond 10,000, a part without the checksum
that its upload was created with or with one that it was not created with, Object Lock without a checksum, a
Complete without each part's checksum, a signature made for another region, an expired session token. Also:
actions can be denied by name, and connections cut at chosen bytes.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

BLOCK = 1 << 18


@dataclass
class Request:
    """The head of one request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes

    @property
    def presigned(self) -> bool:
        return "X-Amz-Signature" in self.query

    @property
    def bucket(self) -> str:
        return self.path.lstrip("/").split("/")[0]

    @property
    def key(self) -> str:
        return self.path.lstrip("/").partition("/")[2]

    @property
    def region(self) -> str:
        scope = self.query.get("X-Amz-Credential", "")
        if not scope:
            found = re.search(r"Credential=([^,]+)", self.headers.get("authorization", ""))
            scope = found.group(1) if found else ""
        parts = scope.split("/")
        return parts[2] if len(parts) > 3 else ""


def action(request: Request) -> str:
    """The IAM action that S3 would ask for."""
    method, query, key = request.method, request.query, request.key
    if "uploads" in query:
        return "s3:PutObject" if method == "POST" else "s3:ListBucketMultipartUploads"
    if "uploadId" in query:
        return {"PUT": "s3:PutObject", "POST": "s3:PutObject", "GET": "s3:ListMultipartUploadParts"}.get(
            method, "s3:AbortMultipartUpload"
        )
    if "object-lock" in query:
        return "s3:GetBucketObjectLockConfiguration"
    if "location" in query:
        return "s3:GetBucketLocation"
    if "retention" in query:
        return "s3:PutObjectRetention" if method == "PUT" else "s3:GetObjectRetention"
    if not key:
        return {"PUT": "s3:CreateBucket", "DELETE": "s3:DeleteBucket"}.get(method, "s3:ListBucket")
    return {"PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}.get(method, "s3:GetObject")


@dataclass
class Upload:
    """What CreateMultipartUpload said."""

    algorithm: str
    locked: bool


@dataclass
class Shim:
    """State of the proxy. Everything may be changed while it runs."""

    upstream_port: int
    region: str = "eu-west-1"
    owner: str = "123456789012"
    deny: set[str] = field(default_factory=set)
    deny_if: Callable[[Request], bool] | None = None
    """Asked for each request: True denies its action."""
    expired_before: str = ""
    """Presigned URLs dated before this (X-Amz-Date, text order) die with ExpiredToken."""
    cut: Callable[[Request], int | None] | None = None
    """Asked for each request: None lets it pass; n cuts the connection after n bytes of its body went up,
    then -n-1 (negative) cuts it after the server has answered, before the answer goes down."""
    delay: Callable[[Request], float] | None = None
    uploads: dict[str, Upload] = field(default_factory=dict)
    locked_buckets: set[str] = field(default_factory=set)
    """Buckets with a default retention."""
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    cuts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    open: set[socket.socket] = field(default_factory=set)
    port: int = 0
    _server: socketserver.ThreadingTCPServer | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        shim = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                serve(shim, self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True, args=(0.1,)).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        with self.lock:
            for client in self.open:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)


def refuse(shim: Shim, request: Request) -> tuple[int, str, str, str] | None:
    """What S3 would say no to: status, code, message, more XML."""
    h, q = request.headers, request.query
    act = action(request)
    if act in shim.deny or (shim.deny_if is not None and shim.deny_if(request)):
        return 403, "AccessDenied", (
            f"User: arn:aws:iam::123456789012:user/responder is not authorized to perform: {act} on resource: "
            f'"arn:aws:s3:::{request.bucket}/{request.key}" because no identity-based policy allows the {act} action'
        ), ""  # fmt: skip
    if h.get("x-amz-expected-bucket-owner", shim.owner) != shim.owner:
        return 403, "AccessDenied", "Access Denied", ""
    if request.region and request.region != shim.region and request.bucket != "ready":
        return (
            400,
            "AuthorizationHeaderMalformed",
            f"The authorization header is malformed; the region '{request.region}' is wrong; expecting '{shim.region}'",
            f"<Region>{shim.region}</Region>",
        )
    chunked = "chunked" in h.get("transfer-encoding", "").lower()
    if request.method in ("PUT", "POST") and chunked and "aws-chunked" not in h.get("content-encoding", ""):
        return 501, "NotImplemented", "A header you provided implies functionality that is not implemented", (
                "<Header>Transfer-Encoding</Header>"
            )  # fmt: skip
    if request.method == "PUT" and "content-length" not in h and "transfer-encoding" not in h:
        return 411, "MissingContentLength", "You must provide the Content-Length HTTP header.", ""
    if request.presigned:
        if q.get("X-Amz-Date", "") < shim.expired_before:
            return 400, "ExpiredToken", "The provided token has expired.", ""
        signed = set(q.get("X-Amz-SignedHeaders", "").split(";"))
        stray = sorted(n for n in h if (n.startswith("x-amz-") or n == "content-md5") and n not in signed)
        if stray:
            return (
                403,
                "AccessDenied",
                "There were headers present in the request which were not signed",
                f"<HeadersNotSigned>{', '.join(stray)}</HeadersNotSigned>",
            )
    checksum = h.get("x-amz-checksum-sha256", "")
    if request.method == "PUT" and "partNumber" in q:
        if not 1 <= int(q["partNumber"]) <= 10000:
            return 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive", ""
        upload = shim.uploads.get(q.get("uploadId", ""))
        if upload is not None:
            if upload.locked and not checksum and "content-md5" not in h:
                return 400, "InvalidRequest", (
                    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters"
                ), ""  # fmt: skip
            actual = "sha256" if checksum else "null"
            wanted = upload.algorithm.lower() or "null"
            if wanted in ("sha256", "null") and actual != wanted:
                return 400, "InvalidRequest", (
                    f"Checksum Type mismatch occurred, expected checksum Type: {wanted}, actual checksum Type: {actual}"
                ), ""  # fmt: skip
    elif request.method == "PUT" and request.key and request.bucket in shim.locked_buckets:
        if not any(n.startswith("x-amz-checksum-") or n == "content-md5" for n in h):
            return 400, "InvalidRequest", (
                "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
            ), ""  # fmt: skip
    return None


def refuse_complete(shim: Shim, request: Request, body: bytes) -> tuple[int, str, str, str] | None:
    """Complete without the parts' checksums."""
    upload = shim.uploads.get(request.query.get("uploadId", ""))
    if upload is None or upload.algorithm != "SHA256":
        return None
    for number, part in enumerate(re.findall(rb"<Part>.*?</Part>", body, re.S), 1):
        if b"<ChecksumSHA256>" not in part:
            return 400, "InvalidRequest", (
                "The upload was created using a sha256 checksum. The complete request must include the checksum "
                f"for each part. It was missing for part {number} in the request."
            ), ""  # fmt: skip
    return None


def read_head(sock: socket.socket, rest: bytes) -> tuple[bytes, bytes]:
    data = rest
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return b"", b""
        data += more
        if len(data) > 1 << 20:
            return b"", b""
    head, _, tail = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", tail


def parse(head: bytes) -> Request:
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    path, _, query = target.partition("?")
    headers = {}
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
    pairs = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    return Request(method, urllib.parse.unquote(path), pairs, headers, head)


def error_answer(status: int, code: str, message: str, more: str, shim: Shim) -> bytes:
    import html

    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{html.escape(message)}</Message>'
        f"{more}<RequestId>SHIM</RequestId></Error>"
    ).encode()
    return (
        f"HTTP/1.1 {status} Refused\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        f"x-amz-bucket-region: {shim.region}\r\nConnection: close\r\n\r\n"
    ).encode() + body


def serve(shim: Shim, client: socket.socket) -> None:
    """One client connection: keep-alive, one upstream connection a request."""
    client.settimeout(120)
    with shim.lock:
        shim.open.add(client)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    rest = b""
    try:
        while True:
            head, rest = read_head(client, rest)
            if not head:
                return
            request = parse(head)
            keep, rest = one(shim, client, request, rest)
            if not keep:
                return
    except OSError:
        return
    finally:
        with shim.lock:
            shim.open.discard(client)
        client.close()


def hang_up(client: socket.socket) -> None:
    """RST instead of FIN: the client sees a reset, as from a dead link."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def one(shim: Shim, client: socket.socket, request: Request, rest: bytes) -> tuple[bool, bytes]:
    """Forward one request; whether the connection may be used again, and bytes read too far."""
    import time

    if shim.delay is not None:
        time.sleep(shim.delay(request))
    no = refuse(shim, request)
    length = int(request.headers.get("content-length", "0") or 0)
    if no is not None:
        # S3 also answers before the body is read; drain a little so that the client can see the answer
        client.settimeout(5)
        left = min(length - len(rest), 1 << 28)
        client.sendall(error_answer(*no, shim)) if left <= 0 else None
        while left > 0:
            more = client.recv(min(BLOCK, left))
            if not more:
                return False, b""
            left -= len(more)
            if left <= 0:
                client.sendall(error_answer(*no, shim))
        with shim.lock:
            shim.seen.append((request.method, request.path + "?" + ",".join(request.query), no[0]))
        return False, b""
    cut = shim.cut(request) if shim.cut is not None else None
    with socket.create_connection(("127.0.0.1", shim.upstream_port), 120) as up:
        up.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = b""
        chunked = "transfer-encoding" in request.headers
        if request.headers.get("expect", "").lower() == "100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.method == "POST" and "uploadId" in request.query:
            body = rest[:length]
            while len(body) < length:
                body += client.recv(length - len(body))
            no = refuse_complete(shim, request, body)
            if no is not None:
                client.sendall(error_answer(*no, shim))
                return False, b""
        head = re.sub(rb"\r\n(Expect|Connection):[^\r]*", b"", request.raw, flags=re.I)
        up.sendall(head[:-2] + b"Connection: close\r\n\r\n")
        sent = 0
        if body:
            up.sendall(body)
            sent, rest = len(body), rest[length:]
        while sent < length or chunked:
            piece = rest[: length - sent] if rest else client.recv(min(BLOCK, length - sent if not chunked else BLOCK))
            rest = rest[len(piece) :]
            if not piece:
                return False, b""
            if cut is not None and 0 <= cut < sent + len(piece):
                up.sendall(piece[: cut - sent])
                with shim.lock:
                    shim.cuts += 1
                hang_up(client)
                return False, b""
            up.sendall(piece)
            sent += len(piece)
            if chunked and piece.endswith(b"0\r\n\r\n"):
                break
        if cut is not None and length == 0 and cut >= 0:
            with shim.lock:
                shim.cuts += 1
            hang_up(client)
            return False, b""
        return answer(shim, client, request, up, cut), rest


def answer(shim: Shim, client: socket.socket, request: Request, up: socket.socket, cut: int | None) -> bool:
    """Send the server's answer down; the body has a length or ends with the connection."""
    head, tail = read_head(up, b"")
    if not head:
        return False
    text = head.decode("latin-1")
    status = int(text.split(" ", 2)[1])
    with shim.lock:
        shim.seen.append((request.method, request.path + "?" + ",".join(request.query), status))
    found = re.search(r"\r\ncontent-length: *(\d+)", text, re.I)
    nobody = request.method == "HEAD" or status in (204, 304)
    length = 0 if nobody else int(found.group(1)) if found else None
    collected = b""
    if "uploads" in request.query and request.method == "POST" and status == 200:
        while length is None or len(tail) < length:
            more = up.recv(BLOCK)
            if not more:
                break
            tail += more
        collected = tail
        upload = re.search(rb"<UploadId>([^<]+)</UploadId>", collected)
        if upload:
            locked = "x-amz-object-lock-mode" in request.headers or request.bucket in shim.locked_buckets
            algorithm = request.headers.get("x-amz-checksum-algorithm", "")
            shim.uploads[upload.group(1).decode()] = Upload(algorithm.upper(), locked)
    if cut is not None and cut < 0:
        with shim.lock:
            shim.cuts += 1
        hang_up(client)
        return False
    if request.method == "HEAD" and not request.key:
        head = head[:-2] + f"x-amz-bucket-region: {shim.region}\r\n\r\n".encode()
    head = re.sub(rb"\r\nConnection:[^\r]*", b"", head, flags=re.I)
    keep = length is not None
    head = head[:-2] + (b"Connection: keep-alive\r\n\r\n" if keep else b"Connection: close\r\n\r\n")
    client.sendall(head + tail)
    done = len(tail)
    while length is None or done < length:
        more = up.recv(BLOCK)
        if not more:
            break
        client.sendall(more)
        done += len(more)
    return keep
