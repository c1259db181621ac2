# SPDX-License-Identifier: Apache-2.0
"""The agent's side of a Session Manager data channel: strict about each message, and the command really runs.

Behind a real pseudo-terminal with its echo on, as the agent's, in the container of the task.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import secrets
import socket
import struct
import subprocess
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.collect.ecs.rig import EcsServer

HEAD = ">I32sIQqQ16s32sII"
AGENT = "3.3.1611.0"


class Session:
    """The agent's side of one data channel."""

    def __init__(self, server: EcsServer, words: list[str]) -> None:
        self.server, self.words = server, words
        self.ident, self.token = f"ecs-execute-command-{secrets.token_hex(8)}", secrets.token_hex(16)
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._sequence, self._expected = 0, 0
        self._unacknowledged: dict[int, bytes] = {}
        self._acks = threading.Condition()
        self._later: bytes | None = None
        self.terminated = False

    def serve(self, sock: socket.socket) -> None:
        self.sock = sock
        opcode, first = self._read()
        token = json.loads(first)
        assert opcode == 1 and token["TokenValue"] == self.token and token["MessageSchemaVersion"] == "1.0"
        assert sorted(token) == ["ClientId", "ClientVersion", "MessageSchemaVersion", "RequestId", "TokenValue"]
        actions = [{"ActionType": "SessionType", "ActionParameters": {"SessionType": "InteractiveCommands"}}]
        if self.server.encrypt:
            actions.insert(0, {"ActionType": "KMSEncryption", "ActionParameters": {"KMSKeyId": "k"}})
        self.output(json.dumps({"AgentVersion": AGENT, "RequestedClientActions": actions}).encode(), 5)
        while True:
            opcode, data = self._read()
            if opcode == 8:
                return
            if opcode == 9:
                self._frame(10, data)
            if opcode == 2:
                self._message(data)

    def _message(self, data: bytes) -> None:
        head = struct.unpack(HEAD, data[:120])
        length, kind, version, created, sequence, flags, ident, digest, payload_type, size = head
        payload = data[120:]
        assert (length, version, size) == (116, 1, len(payload)), "lengths"
        assert digest == hashlib.sha256(payload).digest(), "digest"
        assert abs(created / 1000 - time.time()) < 300, "created"
        name = kind.decode().rstrip(" ")
        if name == "acknowledge":
            self._acknowledged(json.loads(payload), flags)
            return
        assert name == "input_stream_data", name
        if self.server.drop_acks and payload_type == 1:
            self.server.drop_acks -= 1
            return  # lost on its way: it has to come again
        if sequence > self._expected:
            return  # as an agent whose buffer is full
        own = str(uuid.UUID(bytes=ident[8:] + ident[:8]))
        content = {"AcknowledgedMessageType": name, "AcknowledgedMessageId": own,
                   "AcknowledgedMessageSequenceNumber": sequence, "IsSequentialMessage": True}  # fmt: skip
        self._send("acknowledge", json.dumps(content).encode(), 0, 0, 3)
        if sequence == self._expected:
            self._expected += 1
            self._input(payload_type, payload)

    def _acknowledged(self, content: dict[str, Any], flags: int) -> None:
        number = content["AcknowledgedMessageSequenceNumber"]
        assert flags == 3 and content["AcknowledgedMessageType"] == "output_stream_data"
        assert content["IsSequentialMessage"] is True
        with self._acks:
            sent = self._unacknowledged.pop(number, None)
            assert sent is None or content["AcknowledgedMessageId"] == str(uuid.UUID(bytes=sent[8:] + sent[:8]))
            self._acks.notify_all()

    def _input(self, payload_type: int, payload: bytes) -> None:
        if payload_type == 6:
            answer = json.loads(payload)
            if [one["ActionStatus"] for one in answer["ProcessedClientActions"]] != [1]:
                self.closed("Handshake failed: " + "; ".join(answer["Errors"]))
                return
            self.output(json.dumps({"HandshakeTimeToComplete": 1000, "CustomerMessage": "watched"}).encode(), 7)
            self._begin()
        elif payload_type == 10:
            assert payload == b"\0\0\0\2"
            self.terminated = True
            self.kill()
        else:
            assert payload_type == 1 and self.process is not None and len(payload) <= 1024
            view = memoryview(payload)
            while view:
                view = view[os.write(self.terminal, view) :]

    def _begin(self) -> None:
        self.terminal, theirs = pty.openpty()
        pod, user = self.server.pod, f"{self.server.user}:{self.server.user}"
        enter = ["nsenter", "-t", str(pod.pid), "-m", "-p", "-n", "-u", "--", *self.server.limits, "chroot",
                 f"--userspec={user}", "--groups=", str(pod.merged), *self.words]  # fmt: skip
        self.process = subprocess.Popen(enter, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                        env={"PATH": "/usr/sbin:/usr/bin:/bin"})  # fmt: skip
        os.close(theirs)
        threading.Thread(target=self._pump, daemon=True).start()

    def _pump(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self.terminal, 1024):
                if self.server.corrupt and data.startswith(b"M 0"):
                    data = data[:40] + bytes([data[40] ^ 1]) + data[41:]
                with self._acks:
                    self._acks.wait_for(lambda: len(self._unacknowledged) < 64)
                self.output(data, 1)
        with contextlib.suppress(OSError):
            self.closed("")

    def closed(self, words: str) -> None:
        content = {"MessageId": "m", "CreatedDate": "now", "DestinationId": "d", "SessionId": self.ident,
                   "MessageType": "channel_closed", "SchemaVersion": 1, "Output": words}  # fmt: skip
        self._send("channel_closed", json.dumps(content).encode(), 0, 0, 0)

    def output(self, payload: bytes, payload_type: int) -> None:
        with self._lock:
            number, self._sequence = self._sequence, self._sequence + 1
        self._send("output_stream_data", payload, payload_type, number, 0)

    def _send(self, kind: str, payload: bytes, payload_type: int, number: int, flags: int) -> None:
        ident = uuid.uuid4().bytes
        data = struct.pack(HEAD, 116, kind.encode().ljust(32, b"\0"), 1, int(time.time() * 1000), number, flags, ident,
                           hashlib.sha256(payload).digest(), payload_type, len(payload)) + payload  # fmt: skip
        if kind == "output_stream_data":
            self._unacknowledged[number] = ident
            if self.server.swap and payload_type == 1 and self._later is None and number % 7 == 3:
                self._later = data  # the next one overtakes it; where none comes, it is sent again as an agent does
                threading.Timer(0.3, self._flush).start()
                return
        self._frame(2, data)
        if self.server.repeat and kind == "output_stream_data":
            self._frame(2, data)
        self._flush()

    def _flush(self) -> None:
        later, self._later = self._later, None
        if later is not None:
            with contextlib.suppress(OSError):
                self._frame(2, later)

    def _frame(self, opcode: int, data: bytes) -> None:
        size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
        head = bytes([0x80 | opcode]) + size
        with self._lock:
            self.sock.sendall(head + data)

    def _read(self) -> tuple[int, bytes]:
        first, second = self._exactly(2)
        assert second & 0x80, "a client masks its frames"
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
        mask, data = self._exactly(4), self._exactly(size)
        key = (mask * (size // 4 + 1))[:size]
        return first & 15, (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait()
