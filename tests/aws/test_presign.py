# SPDX-License-Identifier: Apache-2.0
"""URLs for a node, used by the node's own senders against a server that checks signatures."""

from __future__ import annotations

import base64
import hashlib
import http.server
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from memir.acquire.node.http import Connection as NodeConnection
from memir.acquire.transports.ssm.spool import send_script
from memir.aws.client import Connection, s3_client
from memir.aws.presign import put_url

KEY = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
HEADS = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": KEY}


class Store(http.server.ThreadingHTTPServer):
    """Keeps what was sent; as S3 does, it refuses a request whose headers are not those that its URL signs."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept: list[tuple[dict[str, str], bytes]] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Store

    def do_PUT(self) -> None:
        heads = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(heads["content-length"]))
        signed = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["X-Amz-SignedHeaders"][0].split(";")
        sent = {name for name in heads if name.startswith("x-amz-")}
        right = sent == {name for name in signed if name.startswith("x-amz-")}
        if right:
            self.server.kept.append((heads, body))
        self.send_response(200 if right else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def store() -> Iterator[Store]:
    server = Store()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.parametrize("key", ["", KEY])
@pytest.mark.parametrize("sender", ["curl", "python3", "mailbox"])
def test_the_node_sends_what_was_signed(store: Store, key: str, sender: str, tmp_path: Path) -> None:
    client = s3_client(Connection("eu-west-1", f"http://127.0.0.1:{store.server_port}", kms_key=key))
    body = b"an envelope"
    digest = hashlib.sha256(body).hexdigest()
    checksum = base64.b64encode(bytes.fromhex(digest)).decode()
    if sender == "mailbox":
        NodeConnection(20.0).request("PUT", put_url(client, "bucket", "a", seconds=60), body)
    else:
        (tmp_path / "out").write_bytes(body)
        url = put_url(client, "bucket", "a", seconds=60, checksum=checksum)
        script = send_script(str(tmp_path / "out"), digest, sender)
        subprocess.run(["sh", "-c", script], input=url.encode() + b"\n", check=True)
    heads, kept = store.kept[0]
    assert kept == body
    assert {name: value for name, value in heads.items() if "encryption" in name} == (HEADS if key else {})
    assert heads.get("x-amz-checksum-sha256", checksum) == checksum


def test_a_url_without_key_has_no_fragment() -> None:
    url = put_url(s3_client(Connection("eu-west-1")), "bucket", "a b", seconds=60)
    assert urllib.parse.urlsplit(url).fragment == ""
    assert "encryption" not in url
