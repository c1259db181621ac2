# SPDX-License-Identifier: Apache-2.0
"""Containers and exec of the API stand-in, run for real on this machine.

A container is its command in a mount namespace of its own, with an emptyDir in memory mounted where the pod
says; an exec is a command in that namespace behind a websocket that speaks v4 or v5.channel.k8s.io. Needs
root.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Container:
    """The pod's only container."""

    def __init__(
        self, pod: dict[str, Any], image: Path | None = None, secrets: dict[str, dict[str, str]] | None = None
    ):
        """image: a root file system that the container gets instead of this machine's, with a mount point `.real` for
        proc. secrets: their data, base64.
        """
        spec = pod["spec"]
        self.image = image
        one = spec["containers"][0]
        memory = {v["name"] for v in spec.get("volumes", []) if v.get("emptyDir", {}).get("medium") == "Memory"}
        mounts = [m["mountPath"] for m in one.get("volumeMounts", []) if m["name"] in memory]
        script = "".join(f"mount -t tmpfs -o size=64m pod {shlex.quote(path)} && " for path in mounts)
        command = shlex.join(one["command"] + one.get("args", []))
        if image is not None:
            for volume in spec.get("volumes", []):
                if named := volume.get("secret"):
                    (place,) = [m["mountPath"] for m in one["volumeMounts"] if m["name"] == volume["name"]]
                    for name, packed in (secrets or {})[named["secretName"]].items():
                        file = image / place.lstrip("/") / name
                        file.parent.mkdir(parents=True, exist_ok=True)
                        file.write_bytes(base64.b64decode(packed))
                        file.chmod(named["defaultMode"])
            script = f"mount -t proc proc {image}/.real && " + "".join(
                f"mkdir -p {image}{path} && mount -t tmpfs -o size=64m pod {image}{path} && " for path in mounts
            )
            command = f"chroot {image} {command}"
        self.process = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", f"{script}echo up && exec {command}"],
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"up\n"
        self.pid = self.process.pid
        self.late = False
        self.children: list[subprocess.Popen[bytes]] = []
        deadline = spec.get("activeDeadlineSeconds")
        if deadline:
            threading.Thread(target=self._deadline, args=(float(deadline),), daemon=True).start()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def _deadline(self, seconds: float) -> None:
        time.sleep(seconds)
        if self.running:
            self.late = True
            self.kill()

    def kill(self) -> None:
        """What deleting a pod does in the end: SIGKILL to all."""
        for child in [*self.children, self.process]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


class Exec:
    """One exec over one websocket. cut: reset the connection after this many bytes of output."""

    def __init__(self, container: Container, command: list[str], protocol: str, cut: int | None) -> None:
        self.container, self.command, self.protocol, self.cut = container, command, protocol, cut
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._sent = 0
        self._gone = False
        self.typed = bytearray()
        """Standard input that came."""
        self.ended_untyped = False
        """Whether an output ended before any input had come."""

    def enter(self) -> list[str]:
        """The words that run the command in the container."""
        root = ["-r"] if self.container.image else []
        return ["nsenter", "-m", "-t", str(self.container.pid), *root, "--", *self.command]

    def serve(self, sock: socket.socket, key: str) -> None:
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        sock.sendall(
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {self.protocol}\r\n\r\n"
            ).encode()
        )
        self.process = subprocess.Popen(
            self.enter(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.container.children.append(self.process)
        outputs = [
            threading.Thread(target=self._pump, args=(sock, channel, pipe), daemon=True)
            for channel, pipe in ((1, self.process.stdout), (2, self.process.stderr))
        ]
        reader = threading.Thread(target=self._listen, args=(sock,), daemon=True)
        for thread in [*outputs, reader]:
            thread.start()
        for thread in outputs:
            thread.join()
        code = self.process.wait()
        if self._gone:
            return
        status: dict[str, Any] = {"metadata": {}, "status": "Success"}
        if code:
            shown = 128 - code if code < 0 else code
            status = {
                "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
                "message": f"command terminated with non-zero exit code: {shown}",
                "details": {"causes": [{"reason": "ExitCode", "message": str(shown)}]},
            }  # fmt: skip
        with contextlib.suppress(OSError):
            self._frame(sock, 2, b"\x03" + json.dumps(status).encode())
            self._frame(sock, 8, b"\x03\xe8")
            sock.settimeout(2)
            reader.join(2)

    def _pump(self, sock: socket.socket, channel: int, pipe: Any) -> None:
        while data := os.read(pipe.fileno(), 32768):
            if self.cut is not None and self._sent + len(data) > self.cut:
                with contextlib.suppress(OSError):
                    self._frame(sock, 2, bytes([channel]) + data[: self.cut - self._sent])
                self._hang_up(sock)
                return
            self._sent += len(data)
            try:
                self._frame(sock, 2, bytes([channel]) + data)
            except OSError:
                self._gone = True
                return
        # as containerd does: when an output ends, the input is closed
        self.ended_untyped = self.ended_untyped or not self.typed
        with contextlib.suppress(OSError, ValueError):
            assert self.process is not None
            assert self.process.stdin is not None
            self.process.stdin.close()

    def _hang_up(self, sock: socket.socket) -> None:
        self._gone = True
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        # the kubelet kills nothing when an exec's connection is lost: its pipes close, and SIGPIPE or EOF
        # follow
        assert self.process is not None
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()

    def _frame(self, sock: socket.socket, opcode: int, data: bytes) -> None:
        head = bytes([0x80 | opcode])
        if len(data) < 126:
            head += bytes([len(data)])
        elif len(data) < 65536:
            head += b"\x7e" + struct.pack(">H", len(data))
        else:
            head += b"\x7f" + struct.pack(">Q", len(data))
        with self._lock:
            sock.sendall(head + data)

    def _listen(self, sock: socket.socket) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        stdin = self.process.stdin
        with contextlib.suppress(OSError, ValueError, EOFError):
            while True:
                opcode, data = self._read_frame(sock)
                if opcode == 8:
                    break
                if opcode == 9:
                    self._frame(sock, 10, data)
                elif data[:1] == b"\x00":
                    self.typed += data[1:]
                    stdin.write(data[1:])
                    stdin.flush()
                elif data[:1] == b"\xff" and self.protocol.startswith("v5"):
                    stdin.close()
        with contextlib.suppress(OSError, ValueError):
            stdin.close()

    @staticmethod
    def _read_frame(sock: socket.socket) -> tuple[int, bytes]:
        def take(count: int) -> bytes:
            data = b""
            while len(data) < count:
                more = sock.recv(count - len(data))
                if not more:
                    raise EOFError
                data += more
            return data

        first, second = take(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", take(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", take(8))
        mask = take(4) if second & 0x80 else b"\0\0\0\0"
        data = bytearray(take(size))
        if size:
            key = (mask * (size // 4 + 1))[:size]
            data = bytearray((int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big"))
        return first & 0x0F, bytes(data)
