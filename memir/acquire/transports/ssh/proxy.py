# SPDX-License-Identifier: Apache-2.0
"""A ProxyCommand as the socket of a connection.

paramiko has one of its own, which takes the end of the command for silence: it reads on, with a processor to itself,
until the connection's time is over, and so do all of its connections that are lost midway.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading

LAST = 4096
"""Bytes of the command's standard error that are kept: its end says why it failed."""
_END = 1.0  # seconds that a command has to end once its streams are closed


class ProxyCommand:
    """What paramiko needs of a socket, over the standard streams of a command that the user's shell runs.

    line: the command, its tokens expanded. Raises OSError if there is no shell.
    """

    def __init__(self, line: str) -> None:
        # the user's shell runs it, as ssh has it do
        words = [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {line}"]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._in.fileno(), False)
        self._timeout: float | None = None
        self._closed = False  # paramiko's own name for it, which it looks at
        self._over, self._stopped = False, False
        self._errors = b""
        self._listener = threading.Thread(target=self._listen, name="proxy command", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Read what it writes to its standard error: a full pipe would stop it."""
        assert self._process.stderr is not None
        while part := self._process.stderr.read(1 << 16):
            self._errors = (self._errors + part)[-LAST:]

    def settimeout(self, seconds: float | None) -> None:
        """How long recv and send wait; None: without end."""
        self._timeout = seconds

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are any; none: it has ended. Raises TimeoutError."""
        if not select.select([self._out], [], [], self._timeout)[0]:
            raise TimeoutError
        data = os.read(self._out.fileno(), size)
        self._over |= not data
        return data

    def send(self, data: bytes) -> int:
        """How many of the bytes it took. Raises TimeoutError, BrokenPipeError when it has ended."""
        if not select.select([], [self._in], [], self._timeout)[1]:
            raise TimeoutError
        try:
            return os.write(self._in.fileno(), data)
        except BrokenPipeError:
            self._over = True
            raise

    def close(self) -> None:
        """End the command, if it has not ended. Its streams stay open: paramiko's thread may be at them."""
        self._closed = True
        if self._over and self._exit_code() is not None:  # it closes its streams a moment before it ends
            return
        if self._process.poll() is None:
            self._stopped = True
            self._process.terminate()
            if self._exit_code() is None:
                self._process.kill()

    def _exit_code(self) -> int | None:
        try:
            return self._process.wait(_END)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self) -> str:
        """Its exit code and the last line of its standard error; "" if it runs or was stopped: it is no cause then."""
        code = self._exit_code()
        if code is None or self._stopped:  # paramiko's thread may have stopped it meanwhile
            return ""
        self._listener.join(_END)  # a child of its own may have the stream open still
        lines = [line.strip() for line in self._errors.decode(errors="replace").splitlines() if line.strip()]
        told = lines[-1] if lines else "it wrote nothing to its standard error"
        return f"ProxyCommand ended with exit code {code}: {told}"
