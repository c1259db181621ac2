# SPDX-License-Identifier: Apache-2.0
"""GuardDuty on loopback, strictly: two reads of the real client, and a refusal of whatever else is asked.

https://docs.aws.amazon.com/guardduty/latest/APIReference/API_GetFindings.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DETECTOR = "12abc34d567e8fa901bc2d34e56789f0"


class GuardDutyRig:
    """findings: by id. asked: each request. denied: every request is refused."""

    def __init__(self, findings: dict[str, dict[str, Any]], detectors: tuple[str, ...] = (DETECTOR,)) -> None:
        self.findings, self.detectors = findings, detectors
        self.asked: list[tuple[str, str, Any]] = []
        self.denied = False

    def answer(self, method: str, path: str, body: Any, authorization: str) -> tuple[int, dict[str, Any]]:
        self.asked.append((method, path, body))
        if "/guardduty/aws4_request" not in authorization or self.denied:
            return 403, {"__type": "AccessDeniedException", "message": "not authorized"}
        if (method, path) == ("GET", "/detector"):
            return 200, {"detectorIds": list(self.detectors)}
        for detector in self.detectors:
            if (method, path) == ("POST", f"/detector/{detector}/findings/get"):
                ids = body["findingIds"]
                if set(body) != {"findingIds"} or not 1 <= len(ids) <= 50:
                    break
                return 200, {"findings": [self.findings[ident] for ident in ids if ident in self.findings]}
        return 400, {"__type": "BadRequestException", "message": f"{method} {path} {body}"}

    @contextmanager
    def serve(self) -> Iterator[str]:
        """The endpoint's URL."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(data) if data else None
                status, value = outer.answer(
                    self.command, self.path, body, self.headers.get("Authorization", "")
                )  # fmt: skip
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("x-amzn-ErrorType", str(value.get("__type", "")))
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
