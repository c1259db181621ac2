# SPDX-License-Identifier: Apache-2.0
"""An API server behind which a kubelet checkpoints: the samples' archive (CRIU's own) becomes a file of the node."""

from __future__ import annotations

import re
import shutil
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.acquire.rigs.kube import KubeServer
from tests.checkpoint.sample import archive

CHECKPOINTS = "var/lib/kubelet/checkpoints"


class CheckpointingServer(KubeServer):
    """node: its root. says: (status, message) instead of a checkpoint. path: what it answers, if that is another."""

    node: Path
    says: tuple[int, str] | None = None
    path = ""

    def answer(self, request: BaseHTTPRequestHandler, path: str, query: dict[str, str], body: bytes) -> None:
        asked = re.fullmatch(r"/api/v1/nodes/([^/]+)/proxy/checkpoint/([^/]+)/([^/]+)/([^/]+)", path)
        if asked is None or request.command != "POST":
            super().answer(request, path, query, body)
        elif self.says is not None:
            request.send_response(self.says[0])
            request.send_header("Content-Type", "text/plain; charset=utf-8")
            request.send_header("Content-Length", str(len(self.says[1].encode())))
            request.end_headers()
            request.wfile.write(self.says[1].encode())
        else:
            name = f"{CHECKPOINTS}/checkpoint-{asked[3]}_{asked[2]}-{asked[4]}-2026-11-29T12:00:00Z.tar"
            (self.node / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
            shutil.copy(archive(), self.node / name)
            self.reply(request, 200, {"items": [self.path or f"/{name}"]})
