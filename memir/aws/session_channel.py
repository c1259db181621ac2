# SPDX-License-Identifier: Apache-2.0
"""A Session Manager data channel: a WebSocket on which both sides number their messages and acknowledge the other's.

First the token as text, then the agent's handshake, then bytes of a terminal in both directions. One thread: what is
sent waits for room in a window, and takes what comes meanwhile. Source: aws/session-manager-plugin, src/datachannel.
"""

from __future__ import annotations

import json
import select
import time
import uuid
from collections import OrderedDict
from contextlib import suppress
from typing import Any

from memir.aws.session_message import (
    ACKNOWLEDGE,
    CLOSED,
    DATA,
    FLAG,
    HANDSHAKE_COMPLETE,
    HANDSHAKE_REQUEST,
    HANDSHAKE_RESPONSE,
    INPUT,
    OUTPUT,
    STDERR,
    TERMINATE,
    Message,
    acknowledge,
    content_of,
    pack,
    unpack,
)
from memir.errors import ConnectError, NodeError

CLIENT = "1.2.0.0"
"""Version of the plugin whose protocol this is: agents ask for it before they use what came later."""
PIECE = 1024
WINDOW = 16
"""Messages under way before one is acknowledged; the agent writes each into a terminal."""
HELD = 10_000
RESEND, TRIES, QUIET, LEAVE = 3.0, 40, 90.0, 5.0
SUCCESS, FAILED, UNSUPPORTED = 1, 2, 3


class Channel:
    """One session. socket: a websocket-client's WebSocket; where: for messages."""

    def __init__(self, socket: Any, where: str) -> None:
        self._socket, self._where = socket, where
        self._pending = bytearray()
        self._sequence = self._expected = 0
        self._sent: OrderedDict[int, tuple[bytes, float, int]] = OrderedDict()
        self._held: dict[int, Message] = {}
        self._heard = self._pinged = time.monotonic()
        self.ready = self.ended = False
        self.last = ""
        self.agent = ""

    def read(self, size: int, timeout: float | None = None) -> bytes:
        """At most `size` bytes of the terminal, b"" when the agent has closed the session. Raises ConnectError."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self._pending and not self.ended:
            self._wait(end)
        out = bytes(self._pending[:size])
        del self._pending[:size]
        return out

    def send(self, data: bytes, timeout: float = 120.0) -> None:
        """Type into the terminal. Raises ConnectError when it is not taken."""
        end = time.monotonic() + timeout
        for start in range(0, len(data), PIECE):
            while len(self._sent) >= WINDOW and not self.ended:
                self._wait(end)
            self._put(data[start : start + PIECE], DATA)

    def handshake(self, timeout: float = 60.0) -> None:
        """To the end of the agent's handshake. NodeError where it asks for what memir cannot."""
        end = time.monotonic() + timeout
        while not self.ready:
            if self.ended:
                raise ConnectError(f"{self._where}: the session was closed: {self.last or 'no reason is given'}")
            self._wait(end)

    def close(self) -> None:
        """End the session: the agent ends its command."""
        from websocket import WebSocketException

        with suppress(ConnectError):
            if not self.ended:
                self._put(TERMINATE, FLAG)
            end = time.monotonic() + LEAVE
            while not self.ended:  # so that its processes are gone when the next session looks
                self._wait(end)
        with suppress(WebSocketException, OSError):
            self._socket.close(timeout=1)

    def _put(self, payload: bytes, payload_type: int) -> None:
        data = pack(Message(INPUT, payload, payload_type, self._sequence))
        self._sent[self._sequence] = data, time.monotonic(), 1
        self._sequence += 1
        self._write(data)

    def _write(self, data: bytes) -> None:
        from websocket import WebSocketException

        try:
            self._socket.send_binary(data)
        except (WebSocketException, OSError) as error:
            raise ConnectError(f"{self._where}: the session's connection was lost ({error})") from error

    def _wait(self, end: float | None) -> None:
        """Take one message, or note that none came. Raises ConnectError when the time is over or all is quiet."""
        from websocket import ABNF, WebSocketException

        if not self._readable(0.5):
            now = time.monotonic()
            if end is not None and now >= end:
                raise ConnectError(f"{self._where}: the session did not answer in time")
            if now - self._heard > QUIET:
                raise ConnectError(f"{self._where}: nothing was heard of the session for {QUIET:.0f} s")
            self._again(now)
            return
        try:
            opcode, frame = self._socket.recv_data_frame(control_frame=True)
        except (WebSocketException, OSError) as error:
            raise ConnectError(f"{self._where}: the session's connection was lost ({error})") from error
        self._heard = time.monotonic()
        if opcode == ABNF.OPCODE_CLOSE:
            raise ConnectError(f"{self._where}: the session's connection ended before the agent closed the session")
        if opcode in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT):
            self._take(unpack(bytes(frame.data)))

    def _again(self, now: float) -> None:
        """Send again what nobody acknowledged, and ask whether someone is there."""
        from websocket import WebSocketException

        for number, (data, when, tries) in list(self._sent.items())[:1]:
            if now - when > RESEND:
                if tries >= TRIES:
                    raise ConnectError(f"{self._where}: the agent took no message for {tries * RESEND:.0f} s")
                self._sent[number] = data, now, tries + 1
                self._write(data)
        if now - max(self._heard, self._pinged) > QUIET / 3:
            self._pinged = now
            with suppress(WebSocketException, OSError):
                self._socket.ping("keepalive")

    def _readable(self, timeout: float) -> bool:
        raw = self._socket.sock
        if raw is None:
            raise ConnectError(f"{self._where}: the session's connection was closed")
        if hasattr(raw, "pending") and raw.pending():
            return True
        poller = select.poll()
        poller.register(raw, select.POLLIN)
        return bool(poller.poll(timeout * 1000))

    def _take(self, message: Message) -> None:
        if message.kind == ACKNOWLEDGE:
            self._sent.pop(content_of(message).get("AcknowledgedMessageSequenceNumber", -1), None)
        elif message.kind == CLOSED:
            self.last = str(content_of(message).get("Output") or "")[:500]
            self.ended = True
        elif message.kind == OUTPUT:
            if message.sequence > self._expected:
                if len(self._held) >= HELD:
                    return  # not acknowledged: it comes again
                self._held[message.sequence] = message
            self._write(pack(acknowledge(message)))
            if message.sequence == self._expected:
                self._held[message.sequence] = message
            while (next_one := self._held.pop(self._expected, None)) is not None:
                self._expected += 1
                self._output(next_one)

    def _output(self, message: Message) -> None:
        if message.payload_type in (DATA, STDERR):
            self._pending += message.payload
        elif message.payload_type == HANDSHAKE_COMPLETE:
            self.ready = True
        elif message.payload_type == HANDSHAKE_REQUEST:
            self._answer(content_of(message))

    def _answer(self, request: dict[str, Any]) -> None:
        """The handshake's response: a session of the kind that is asked for, without encryption by a key of KMS."""
        self.agent = str(request.get("AgentVersion") or "")[:40]
        done, wrong = [], []
        asked = request.get("RequestedClientActions")
        for action in asked if isinstance(asked, list) else ():
            kind = str(action.get("ActionType") if isinstance(action, dict) else "")[:60]
            why = "" if kind == "SessionType" else f"{kind} is not supported by this client"
            status = SUCCESS if not why else FAILED if kind == "KMSEncryption" else UNSUPPORTED
            done.append({"ActionType": kind, "ActionStatus": status, "ActionResult": None, "Error": why})
            wrong += [kind] if why else []
        errors = [entry["Error"] for entry in done if entry["Error"]]
        answer = {"ClientVersion": CLIENT, "ProcessedClientActions": done, "Errors": errors}
        self._put(json.dumps(answer).encode(), HANDSHAKE_RESPONSE)
        if wrong:
            raise NodeError(
                f"{self._where}: the agent asks for {', '.join(wrong)}, which memir does not speak (KMSEncryption: the "
                "cluster's executeCommandConfiguration names a kmsKeyId): use another way into the task"
            )


def open_channel(url: str, token: str, where: str) -> Channel:
    """The channel of a session that an API started: its stream URL and token. Raises ConnectError, NodeError."""
    import websocket

    if not url.startswith(("wss://", "ws://127.0.0.1:")):
        raise ConnectError(f"{where}: the session's address is no wss:// one")
    try:
        socket = websocket.create_connection(url, timeout=30)
        socket.send(json.dumps({
            "MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()), "TokenValue": token,
            "ClientId": str(uuid.uuid4()), "ClientVersion": CLIENT,
        }))  # fmt: skip
    except (websocket.WebSocketException, OSError) as error:
        words = str(error).splitlines() or [type(error).__name__]
        raise ConnectError(f"{where}: the session's connection did not open: {words[0][:200]}") from error
    channel = Channel(socket, where)
    try:
        channel.handshake()
    except BaseException:
        channel.close()
        raise
    return channel
