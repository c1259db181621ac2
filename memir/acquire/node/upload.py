# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: UP006, UP035  (nodes may have Python 3.6)
"""Uploads standard input to S3 from the node, part by part, with nothing but the standard library (3.6 on).

It holds no credentials. For each part that it has read and hashed it writes one line to DIRECTORY/want and
waits for a *grant*: a presigned URL that is signed for exactly this part, size and SHA-256, so that the
store refuses any other bytes. Grants arrive in files DIRECTORY/grants.N, deleted once read, or over a
mailbox in the bucket (s3_mailbox.py), whose first slot arrives the same way.

    DIRECTORY/want           "NUMBER SIZE SHA256 ATTEMPT"       written here, read by the controller
    DIRECTORY/grants.N       "NUMBER ATTEMPT URL" | "M SLOT PUT-URL GET-URL" | "STOP why"
    DIRECTORY/done           "NUMBER OFFSET SIZE SHA256 ETAG"
    DIRECTORY/consumer.json  the last word: parts, size, sha256, retries, peak memory, error

Memory is bounded: `--buffers` parts at most; reading stops (the FIFO fills, the tool waits) when all are
busy. Exit status: 0 every part is stored, 3 the store refused, 4 no grant came in time, 5 told to stop.
"""

import argparse
import contextlib
import http.client
import io
import json
import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

from memir.acquire.node.http import Connection, Refused, UploadFailed
from memir.acquire.node.parts import Part, Uploader


class UrlClient:
    """Asks for grants through files in a private directory, or through the mailbox in the bucket."""

    def __init__(self, directory: str, patience: float = 900.0) -> None:
        self.directory = directory
        self.patience = patience
        self.stopped = ""
        self._grants: Dict[Tuple[int, int], str] = {}
        self._slots: Dict[int, Tuple[str, str]] = {}
        self._news = threading.Condition()
        self._unsent: List[str] = []
        self._closing = False
        for target in (self._watch, self._mail):
            threading.Thread(target=target, daemon=True).start()

    def path(self, name: str) -> str:
        """A file of the run."""
        return f"{self.directory}/{name}"

    def append(self, name: str, line: str) -> None:
        """Add one line at once."""
        handle = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, (line + "\n").encode())
        finally:
            os.close(handle)

    def grant(self, number: int, size: int, digest: str, attempt: int) -> str:
        """The URL for one part; asks, then waits."""
        line = f"{number} {size} {digest} {attempt}"
        end = time.monotonic() + self.patience
        with self._news:
            self.append("want", line)
            self._unsent.append("W " + line)
            self._news.notify_all()
            while True:
                if self.stopped:
                    raise UploadFailed("told to stop: " + self.stopped, 5)
                url = self._grants.pop((number, attempt), "")
                if url:
                    return url
                left = end - time.monotonic()
                if left <= 0:
                    why = f"part {number}: no grant came in {self.patience:.0f} s; is the controller gone?"
                    raise UploadFailed(why, 4)
                self._news.wait(left)

    def done(self, part: Part) -> None:
        """Note a stored part and show that this side is alive."""
        line = f"{part.number} {part.offset} {part.size} {part.sha256} {part.etag}"
        self.append("done", line)
        # without the file there is no watchdog to tell
        with contextlib.suppress(OSError):
            os.utime(self.path("alive"))
        with self._news:
            self._unsent.append("D " + line)
            self._news.notify_all()

    def close(self) -> None:
        """Let the mailbox go after its last words were sent."""
        end = time.monotonic() + 10
        with self._news:
            self._closing = True
            self._news.notify_all()
            while self._unsent and self._slots and time.monotonic() < end:
                self._news.wait(0.2)

    def take(self, text: str) -> None:
        """Read grant lines."""
        with self._news:
            for line in text.splitlines():
                words = line.split(" ")
                if words[0] == "M" and len(words) == 4:
                    self._slots[int(words[1])] = (words[2], words[3])
                elif words[0] == "STOP":
                    self.stopped = " ".join(words[1:]) or "the controller said so"
                elif len(words) == 3 and words[0].isdigit() and words[1].isdigit():
                    self._grants[(int(words[0]), int(words[1]))] = words[2]
            self._news.notify_all()

    def _watch(self) -> None:
        while True:
            for path in Path(self.directory).iterdir():
                if re.match(r"grants\.[0-9]+$", path.name):
                    text = path.read_text()
                    path.unlink()
                    self.take(text)
            time.sleep(0.02)

    def _mail(self) -> None:
        slot, connection = 0, Connection(20.0)
        while True:
            with self._news:
                while slot not in self._slots or not (self._wants() or (self._closing and self._unsent)):
                    self._news.wait()
                lines = self._unsent[:]
                put, get = self._slots.pop(slot)
            self._insist(connection, "PUT", put, "\n".join(lines).encode())
            with self._news:
                del self._unsent[: len(lines)]
                self._news.notify_all()
            answer = self._insist(connection, "GET", get, b"")
            self.take(answer.decode("ascii", "replace"))
            slot += 1

    def _wants(self) -> bool:
        return any(line.startswith("W") for line in self._unsent)

    def _insist(self, connection: Connection, method: str, url: str, body: bytes) -> bytes:
        """Repeat until done; a message that is not there yet is 404, or 403 without the right to list."""
        pause = 0.05
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            try:
                return connection.request(method, url, body)[1]
            except (Refused, OSError, http.client.HTTPException):
                time.sleep(pause)
                pause = min(1.0, pause * 1.3)
        with self._news:
            self.stopped = self.stopped or "the mailbox in the bucket does not answer"
            self._news.notify_all()
        return b""


def peak_rss() -> int:
    """Highest resident memory of this process in bytes."""
    # not ru_maxrss: it starts with what the parent had when it forked
    peak = re.search(r"VmHWM:\s+([0-9]+) kB", Path("/proc/self/status").read_text())
    return int(peak.group(1)) * 1024 if peak else 0


def put_file(path: str, checksum: str, attempts: int) -> int:
    """Send one file with the URL that stands on standard input."""
    url, body, last = sys.stdin.readline().strip(), Path(path).read_bytes(), ""
    for attempt in range(attempts):
        try:
            Connection(60.0).request("PUT", url, body, {"x-amz-checksum-sha256": checksum})
        except (Refused, OSError, http.client.HTTPException) as error:
            last = str(error)
            time.sleep(min(10.0, 0.2 * 2**attempt))
        else:
            return 0
    sys.stderr.write(f"memir upload: {path}: {last}\n")
    return 3


def main(arguments: List[str]) -> int:
    """Entry point on the node."""
    if arguments[:1] == ["--put"]:
        return put_file(arguments[1], arguments[2], 6)
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("part_size", type=int)
    parser.add_argument("--buffers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--attempts", type=int, default=12)
    parser.add_argument("--patience", type=float, default=900.0)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--backoff", type=float, default=0.5)
    options = parser.parse_args(arguments)
    os.umask(0o077)
    client = UrlClient(options.directory, options.patience)
    upload = Uploader(
        options.part_size,
        client.grant,
        buffers=options.buffers,
        rate=options.rate,
        attempts=options.attempts,
        timeout=options.timeout,
        done=client.done,
        backoff=options.backoff,
    )
    code, error = 0, ""
    try:
        upload.run(io.FileIO(0, "rb", closefd=False))
        upload.finish()
    except UploadFailed as failed:
        code, error = failed.code, str(failed)
        # parts that are on their way are not lost for one that failed
        upload.stop()
    except OSError as failed:
        code, error = 3, f"reading the stream: {failed}"
        upload.stop()
    client.close()
    word: Dict[str, Any] = {
        "uploader": f"python {sys.version_info[0]}.{sys.version_info[1]}",
        "parts": len(upload.parts),
        "size": upload.size,
        "sha256": upload.sha256.hexdigest() if code == 0 else "",
        "retries": upload.retries,
        "peak_rss": peak_rss(),
        "error": error,
    }
    temporary = Path(client.path("consumer.json.new"))
    temporary.write_text(json.dumps(word))
    temporary.rename(client.path("consumer.json"))
    if error:
        sys.stderr.write("memir upload: " + error + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
