# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: UP006, UP007, UP035, UP045  (nodes may have Python 3.6)
"""HTTP to a presigned URL, with the Python standard library alone (3.6 on).

Runs on nodes and on the controller.
"""

import http.client
import re
import socket
import ssl
import threading
import time
import urllib.parse
from typing import Dict, Optional, Tuple, Union

SLICE = 1 << 18


def encryption(fragment: str) -> Dict[str, str]:
    """Headers that a URL was signed with: its fragment `kms=KEY` names the key that encrypts the object."""
    if not fragment.startswith("kms="):
        return {}
    return {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": fragment[len("kms=") :],
    }


class UploadFailed(Exception):  # noqa: N818
    """A part could not be stored; `code` is the exit status."""

    def __init__(self, message: str, code: int = 3) -> None:
        super().__init__(message)
        self.code = code


class Refused(Exception):  # noqa: N818
    """The store answered with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"HTTP {status} {code}: {message}")
        self.status = status
        self.code = code


class Pace:
    """A bandwidth limit shared by all workers, in bytes a second; 0 is none."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, size: int) -> None:
        """Sleep until `size` more bytes may go."""
        if self.rate <= 0:
            return
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now - 0.25) + size / self.rate
            pause = self._next - now
        if pause > 0:
            time.sleep(pause)


class Connection:
    """One keep-alive connection to the store; a URL's query never reaches a message."""

    def __init__(self, timeout: float = 60.0, pace: Optional[Pace] = None) -> None:
        self._timeout = timeout
        self._pace = pace or Pace(0)
        self._host = ""
        self._open: Optional[http.client.HTTPConnection] = None

    def close(self) -> None:
        """Drop the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _connect(self, parts: urllib.parse.SplitResult) -> http.client.HTTPConnection:
        host = parts.scheme + "://" + parts.netloc
        if self._open is None or host != self._host:
            self.close()
            if parts.scheme == "https":
                self._open = http.client.HTTPSConnection(
                    parts.netloc, timeout=self._timeout, context=ssl.create_default_context()
                )
            elif parts.scheme == "http":
                self._open = http.client.HTTPConnection(parts.netloc, timeout=self._timeout)
            else:
                raise UploadFailed("grant with an unknown scheme: " + parts.scheme)
            self._open.connect()
            self._open.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._host = host
        return self._open

    def request(
        self,
        method: str,
        url: str,
        body: Union[bytes, memoryview] = b"",
        headers: Optional[Dict[str, str]] = None,
    ) -> Tuple[Dict[str, str], bytes]:
        """Answer headers (lower case) and body. Raises Refused, OSError, http.client.HTTPException."""
        parts = urllib.parse.urlsplit(url)
        try:
            connection = self._connect(parts)
            connection.putrequest(method, parts.path + "?" + parts.query, skip_accept_encoding=True)
            for name, value in dict(headers or {}, **encryption(parts.fragment)).items():
                connection.putheader(name, value)
            if method == "PUT":
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            view = memoryview(body)
            for start in range(0, len(view), SLICE):
                piece = view[start : start + SLICE]
                self._pace.wait(len(piece))
                connection.send(piece)
            answer = connection.getresponse()
            text = answer.read()
            answered = {name.lower(): value for name, value in answer.getheaders()}
            if answer.will_close:
                self.close()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if answer.status >= 300:
            code = re.search(rb"<Code>([^<]{1,80})</Code>", text)
            message = re.search(rb"<Message>([^<]{1,300})</Message>", text)
            raise Refused(
                answer.status,
                code.group(1).decode("ascii", "replace") if code else "",
                message.group(1).decode("utf-8", "replace") if message else "",
            )
        return answered, text
