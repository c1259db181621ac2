# SPDX-License-Identifier: Apache-2.0
"""Answering the requests of the node for URLs while it uploads: by commands, or by messages through the bucket."""

from __future__ import annotations

import threading
import time

from memir.acquire.facts import NodeRun
from memir.acquire.node_files import node_script
from memir.acquire.sinks.s3.mailbox import Mailbox
from memir.acquire.sinks.s3.upload import S3Upload
from memir.acquire.transports.base import Transport
from memir.errors import ConnectError, RemoteError, StorageError
from memir.evidence.progress import Progress, Report


class UrlSigner:
    """One upload's requests, answered until `stop` is set."""

    def __init__(
        self, sink: S3Upload, transport: Transport, run: NodeRun, stop: threading.Event, report: Report
    ) -> None:
        self.sink, self.transport, self.run, self.stop = sink, transport, run, stop
        self._report = report
        self._last = self._first = time.monotonic()
        self._before = -1
        self.taken_over = sink.adopted

    def through_commands(self) -> None:
        """One long-waiting command a batch. The node's list of requests is read from its start when taken over."""
        offset, serial, owed, pause = 0, 0, b"", 0.5
        while not self.stop.is_set():
            script = node_script(
                "poll", DIR=self.run.directory, LENGTH=len(owed), SERIAL=serial, OFFSET=offset, ROUNDS=40,
                PAUSE="0.05" if offset == 0 else "0.1",
            )  # fmt: skip
            try:
                answer = self.transport.run(script, data=owed, timeout=60, limit=1 << 18)
            except ConnectError as error:
                # the node asks again by itself; a request that was answered twice does no harm
                self.sink.errors.append(str(error))
                self.stop.wait(pause)
                pause = min(5.0, pause * 2)
                continue
            pause = 0.5
            if answer.code == 66:
                self.stop.wait(0.5)
                continue
            if answer.code != 0:
                continue
            if self.sink.refusal is not None:
                # it was told to stop, and asks on
                raise self.sink.refusal
            whole = answer.out[: answer.out.rfind(b"\n") + 1]
            offset += len(whole)
            lines = self.sink.grants(whole.decode("ascii", "replace").splitlines())
            owed, serial = "".join(f"{line}\n" for line in lines).encode(), serial + 1
            self.report_progress()

    def through_bucket(self) -> None:
        """Messages through the bucket; of an upload that was taken over, another controller opened the mailbox."""
        sink = self.sink
        mailbox = Mailbox(sink.client, sink.address, self.run.run_id, sink.options.url_seconds)
        if self.taken_over:
            mailbox.find()
        else:
            self._open_first_slot(mailbox)
        pause = 0.05
        while not self.stop.is_set():
            try:
                message = mailbox.receive()
                if message is not None and sink.refusal is not None:
                    break
                if message is not None:
                    mailbox.answer(sink.grants(message))
                    pause = 0.05
            except RemoteError as error:
                sink.errors.append(str(error))
                pause = 2.0
            self.stop.wait(pause)
            pause = min(1.0, pause * 1.1)
            self.report_progress()
        sink.errors += [f"{key} could not be removed from the bucket" for key in mailbox.close()]
        if sink.refusal is not None and not self.stop.is_set():
            raise sink.refusal

    def _open_first_slot(self, mailbox: Mailbox) -> None:
        line = (mailbox.invitation(0) + "\n").encode()
        script = node_script("first_url", DIR=self.run.directory, LENGTH=len(line))
        for attempt in range(4):
            try:
                if self.transport.run(script, data=line, timeout=120).code == 0:
                    return
            except ConnectError as error:
                self.sink.errors.append(str(error))
            if self.stop.wait(2.0**attempt):
                return
        raise StorageError(f"{self.sink.where}: the node did not take the first URL: {self.sink.errors[-1:]}")

    def report_progress(self) -> None:
        """Progress from ListParts, at most every two seconds."""
        now = time.monotonic()
        if now - self._last < 2.0:
            return
        self._last = now
        try:
            held = sum(part.size for part in self.sink.held().values())
        except RemoteError as error:
            self.sink.errors.append(str(error))
            return
        if self._before < 0:
            # of an upload that was taken over, what others sent does not count
            self._before = held if self.taken_over else 0
        rate = (held - self._before) / max(0.001, now - self._first)
        self._report(Progress(held, self.sink.expected, rate, "upload"))
