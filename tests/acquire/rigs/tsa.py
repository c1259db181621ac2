# SPDX-License-Identifier: Apache-2.0
"""A time stamp authority on the loopback, made with `openssl ts` as RFC 3161 describes one."""

from __future__ import annotations

import http.server
import subprocess
import threading
from pathlib import Path
from typing import Any

CONFIG = """
[tsa]
default_tsa = tsa_config
[tsa_config]
dir = {folder}
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
{chain}signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class TimeStampAuthority:
    """A root, a certificate that may only stamp, and a server; use as a context manager."""

    def __init__(self, folder: Path, *, chain: bool = False) -> None:
        """chain: send the root as well, in an order that DER does not allow, as openssl does."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.root, self.url = folder, folder / "root.pem", ""
        self.answer = b""
        """Sent instead of a stamp."""
        certificates = f"certs = {folder}/root.pem\n" if chain else ""
        (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder, chain=certificates))
        (folder / "serial").write_text("01\n")
        (folder / "ext").write_text(
            "extendedKeyUsage = critical,timeStamping\nkeyUsage = critical,digitalSignature\n"
            "basicConstraints = CA:FALSE\n"
            "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"
        )
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "root.key", "-out", "root.pem",
                  "-days", "30", "-subj", "/CN=memir test root")  # fmt: skip
        self._run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr", "-subj",
                  "/CN=memir test authority")  # fmt: skip
        self._run("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
                  "-out", "tsa.pem", "-days", "30", "-extfile", "ext")  # fmt: skip

    def __enter__(self) -> TimeStampAuthority:
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                (authority.folder / "query.tsq").write_bytes(query)
                authority._run("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "reply.tsr")
                body = authority.answer or (authority.folder / "reply.tsr").read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)
