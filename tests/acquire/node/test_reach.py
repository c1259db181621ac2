# SPDX-License-Identifier: Apache-2.0
"""Any answer of a server will do; no answer is said with its reason."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from memir.acquire.node import reach


class Denies(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(403 if self.path == "/denied" else 200)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Denies) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.mark.parametrize("path", ["/", "/denied"])
def test_any_answer_will_do(server: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["reach.py", server + path])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    reach.main()
    assert Denies.asked[-1] == path


def test_no_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(sys, "argv", ["reach.py", f"http://127.0.0.1:{port}"])
    with pytest.raises(SystemExit, match="refused"):
        reach.main()
    monkeypatch.setattr(sys, "argv", ["reach.py", "no URL"])
    with pytest.raises(SystemExit, match="unknown url type"):
        reach.main()
