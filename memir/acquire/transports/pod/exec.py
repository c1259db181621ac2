# SPDX-License-Identifier: Apache-2.0
"""Scripts in a pod over the official client's exec stream, byte for byte, with bounded memory.

The client's own reading is not used: it keeps a copy of everything that ever came (`_all`), takes in all
that is there whether anyone reads it or not, and takes the end of a lost connection for an end of output.
Here frames are read one at a time, and only the status on the error channel is an end.
"""

from __future__ import annotations

import json
import select
import socket as sockets
import threading
import time
from contextlib import suppress
from typing import Any

from memir.acquire.scripts import parse_receipt
from memir.acquire.transports.base import Result
from memir.errors import ConnectError
from memir.kubeapi.client import Api
from memir.kubeapi.exec import open_exec

STDIN, STDOUT, STDERR, ERROR = 0, 1, 2, 3
FRAME = 1 << 15
KEEP = 1 << 16  # the end of standard error: the receipt is in there
QUIET = 30.0


class PodStream:
    """One running exec."""

    def __init__(self, socket: Any, where: str) -> None:
        self._socket, self._where = socket, where
        self._pending = bytearray()
        self._error_output = bytearray()
        self._dropped = False
        self._status: dict[str, Any] | None = None
        self._received = 0
        self._acknowledged = False
        self._unsent = ""
        self._last_ping = 0.0
        self._turn = threading.Lock()
        socket.settimeout(120)
        self._closed = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end. Raises ConnectError when the connection is lost."""
        while not self._pending and self._status is None:
            self._frame(None)
        out = bytes(self._pending[:size])
        del self._pending[:size]
        return out

    def wait(self, timeout: float) -> Result:
        """Exit status and standard error; what is still on standard output is dropped."""
        end = time.monotonic() + timeout
        while self._status is None:
            left = end - time.monotonic()
            if left <= 0:
                raise ConnectError(f"{self._where}: the script did not end within {timeout:.0f} s")
            self._frame(left)
            self._pending.clear()
        code = exit_code(self._status)
        if code is None:  # the kubelet's or the runtime's own failure, in their words
            self._error_output += f"\nthe cluster: {str(self._status.get('message', 'no reason'))[:1000]}".encode()
        return Result(code, b"", bytes(self._error_output), self._dropped)

    def close(self) -> None:
        """Drop the connection; the script sees the end of its input and a broken pipe."""
        if not self._closed:
            self._closed = True
            # a close frame would wait for its answer; a closed descriptor does not wake a thread that reads
            with suppress(OSError, AttributeError):
                self._socket.sock.shutdown(sockets.SHUT_RDWR)
            with suppress(OSError):
                self._socket.shutdown()

    def send(self, data: bytes) -> None:
        """Write to standard input; the rest is dropped when the script has ended before it read everything."""
        from websocket import ABNF, WebSocketException

        try:
            for start in range(0, len(data), FRAME):
                with self._turn:
                    self._socket.send(bytes([STDIN]) + data[start : start + FRAME], opcode=ABNF.OPCODE_BINARY)
        except (WebSocketException, OSError) as error:
            self._unsent = f"; {len(data) - start} bytes of its input did not get through ({error})"

    def _frame(self, timeout: float | None) -> None:
        """Take one frame. Raises ConnectError when there is none to come."""
        from websocket import ABNF, WebSocketException

        began = time.monotonic()
        while not self._readable(1.0):
            waited = time.monotonic() - began
            if timeout is not None and waited >= timeout:
                raise ConnectError(f"{self._where}: nothing was heard for {waited:.0f} s")
            if waited >= QUIET and self._last_ping < began:
                # an answer to a ping is a frame: none in all this time, and the other side is gone
                self._ping()
            elif waited >= 3 * QUIET:
                raise ConnectError(f"{self._where}: nothing was heard for {waited:.0f} s")
        try:
            # one thread at a time in the TLS connection: it is not made for a reader beside a writer
            with self._turn:
                opcode, frame = self._socket.recv_data_frame(control_frame=True)
        except (WebSocketException, OSError) as error:
            raise ConnectError(f"{self._where}: the connection to the pod was lost ({error}){self._unsent}") from error
        if opcode == ABNF.OPCODE_CLOSE:
            raise ConnectError(f"{self._where}: the connection to the pod ended without an exit status")
        if opcode in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and frame.data:
            self._take(frame.data[0], frame.data[1:])

    def _readable(self, timeout: float) -> bool:
        """Whether a frame, or the end, has come; poll, as descriptors may be beyond what select can hold."""
        raw = self._socket.sock
        if raw is None:
            raise ConnectError(f"{self._where}: the connection to the pod was closed")
        if hasattr(raw, "pending") and raw.pending():
            return True
        poller = select.poll()
        try:
            poller.register(raw, select.POLLIN)
        except (OSError, ValueError) as error:
            raise ConnectError(f"{self._where}: the connection to the pod was closed") from error
        return bool(poller.poll(timeout * 1000))

    def _ping(self) -> None:
        from websocket import WebSocketException

        self._last_ping = time.monotonic()
        with suppress(WebSocketException, OSError), self._turn:
            self._socket.ping()

    def _take(self, channel: int, data: bytes) -> None:
        if channel == STDOUT:
            self._pending += data
            self._received += len(data)
            self._acknowledge()
        elif channel == STDERR:
            self._error_output += data
            if len(self._error_output) > KEEP:
                self._dropped = True
                del self._error_output[: len(self._error_output) - KEEP]
            self._acknowledge()
        elif channel == ERROR:
            try:
                status = json.loads(data)
            except ValueError as error:
                raise ConnectError(f"{self._where}: the exec's status is not readable") from error
            self._status = status if isinstance(status, dict) else {}

    def _acknowledge(self) -> None:
        """Let the helper's capture end once as many bytes are here as its receipt says.

        When its process ends, what is still on its way may be lost (await_controller in node/helper.c).
        """
        if self._acknowledged or not self._error_output:
            return
        receipt = parse_receipt(bytes(self._error_output))
        if receipt is not None and receipt.size == self._received:
            self._acknowledged = True
            self.send(b"\n")


def exit_code(status: dict[str, Any]) -> int | None:
    """The exit code in an exec's status; None when it says that something else went wrong."""
    if status.get("status") == "Success":
        return 0
    details = status.get("details")
    for cause in (details.get("causes") if isinstance(details, dict) else None) or []:
        if isinstance(cause, dict) and cause.get("reason") == "ExitCode":
            text = str(cause.get("message", ""))
            return int(text) if text.isdigit() else None
    return None


def start(api: Api, namespace: str, pod: str, script: str, data: bytes, container: str = "") -> PodStream:
    """Run a script with `data` as its standard input, in the pod's only container or the one that is named.
    `api` is used for nothing else.

    Script and data travel on standard input with their lengths, as the older protocol cannot close it: no
    text of theirs is in the request (and the API server's audit log), the process list or a container's log.
    """
    body = script.encode()
    feed = f'head -c {len(data)} | eval "$S"' if data else 'eval "$S" </dev/null'
    where = f"pod {namespace}/{pod}"
    command = ["/bin/sh", "-c", f"S=$(head -c {len(body)}) && {feed}"]
    running = PodStream(open_exec(api, namespace, pod, command, container), where)
    # a script may write much before it has read all of its input: both ways at once, or both sides wait for
    # ever
    threading.Thread(target=running.send, args=(body + data,), daemon=True).start()
    return running


def start_program(api: Api, namespace: str, pod: str, command: list[str], data: bytes) -> PodStream:
    """Run a program of the pod's; it reads as many bytes of standard input as its words say."""
    running = PodStream(open_exec(api, namespace, pod, command), f"pod {namespace}/{pod}")
    threading.Thread(target=running.send, args=(data,), daemon=True).start()
    return running


def run(stream: PodStream, timeout: float, limit: int) -> Result:
    """To the end of a script, with at most `limit` bytes of output kept."""
    done = threading.Event()
    late = threading.Event()

    def watch() -> None:
        if not done.wait(timeout):
            late.set()
            stream.close()

    threading.Thread(target=watch, daemon=True).start()
    out, dropped = bytearray(), False
    try:
        while chunk := stream.read(FRAME):
            room = limit - len(out)
            dropped = dropped or len(chunk) > room
            out += chunk[: max(0, room)]
        ended = stream.wait(30)
    except ConnectError as error:
        if late.is_set():
            raise ConnectError(
                f"a script in the pod did not end within {timeout:.0f} s; its connection was cut"
            ) from error
        raise
    finally:
        done.set()
        stream.close()
    return Result(ended.code, bytes(out), ended.err[-limit:], dropped or ended.truncated)
