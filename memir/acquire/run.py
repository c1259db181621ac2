# SPDX-License-Identifier: Apache-2.0
"""One acquisition from the first look to the receipt.

The order is: look (nothing changed), take the lock, capture, take the context, clean the node, judge, write
the receipt. Whatever goes wrong after the lock was taken, the node is cleaned and what arrived is kept,
marked partial.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.acquire.capture import Capture, Captured
from memir.acquire.collect import collect
from memir.acquire.options import Options
from memir.acquire.preflight import Preflight, judge, refuse, survey
from memir.acquire.receipt import (
    CustodyLog,
    Outcome,
    begin,
    finish,
    receipt_fields,
    signer_of,
    signing_key,
    tool_record,
)
from memir.acquire.resume import PreviousRun, lock_check, reopen_manifest, same_signer
from memir.acquire.session import SPARE_TMPFS, NodeSession
from memir.acquire.sinks.base import DirectSink, Sink, SinkMeta
from memir.acquire.sinks.file import RESERVED
from memir.acquire.steps import make_plan
from memir.acquire.timestamp import check_url
from memir.acquire.tools.store import Store, choose
from memir.acquire.transports.base import Transport
from memir.acquire.verdict import judge_image
from memir.documents import encode
from memir.errors import Interrupted, MemirError, PartialError, RemoteError, StorageError
from memir.evidence.custody import Manifest, now
from memir.evidence.folder import CONTEXT, IMAGE, SUFFIX
from memir.evidence.judge import Verdict
from memir.evidence.plan import Check
from memir.evidence.progress import Progress, Report

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


RESERVE = ".reserve"


@dataclass
class Acquisition:
    """One node, one evidence folder.

    `snapshot` writes a Kubernetes API snapshot into the folder it is given. previous: a run to go on with, whose
    evidence folder this is.
    """

    transport: Transport
    sink: Sink
    evidence: Path
    options: Options = field(default_factory=Options)
    store: Store = field(default_factory=Store)
    report: Report = lambda _: None
    snapshot: Callable[[Path], Sequence[Path]] | None = None
    previous: PreviousRun | None = None
    run_id: str = field(
        default_factory=lambda: f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
    )

    def preflight(self) -> Preflight:
        """Connect and look, changing nothing. Raises NodeError, AccessError or ConnectError."""
        self.transport.connect()
        checks = [*self.transport.check(), *self.sink.check()]
        state = survey(self.transport)
        if self.previous is not None:
            tool = self.previous.tool_of(state.facts.machine)
            checks += [lock_check(self.previous, state.running), Check("kernel", "ok", state.facts.kernel)]
        else:
            tool = choose(state.facts, self.options.tool, self.options.format, self.options.tool_path, self.store)
            checks += judge(state, tool, sum(file.size for file in tool.files))
        if isinstance(self.sink, DirectSink):
            checks += self.sink.check_node(self.transport)
        span = getattr(self.sink, "check_span", None)
        if span is not None:
            checks.append(span(state.facts.ram_bytes, self.options.limit_rate))
        plan = make_plan(
            self.transport, tool, self.sink, grace=self.options.grace, cluster=self.snapshot is not None,
            isolating=self.options.isolating,
        )  # fmt: skip
        return Preflight(state, tool, plan, tuple(checks))

    def execute(self, preflight: Preflight | None = None) -> Mapping[str, Any]:
        """Acquire. Returns the receipt of a complete image.

        Raises PartialError (exit 4) or Interrupted (exit 130) when the image is not whole; the evidence
        folder then has what arrived and a receipt that says what is missing and how to go on.
        """
        try:
            key = signing_key(self.options.sign_key)
            if self.options.timestamp_url:
                check_url(self.options.timestamp_url)
            if self.previous is not None:
                same_signer(self.previous, signer_of(key))
            preflight = preflight or self.preflight()
            refuse(preflight.checks)
            _reserve(self.evidence)
            manifest = self._open(preflight, signer_of(key))
        except BaseException:
            self.transport.close()
            raise
        log = CustodyLog(manifest, self.evidence, self.sink)
        try:
            return self._record(preflight, log, key)
        finally:
            _free(self.evidence)
            manifest.close()

    def _open(self, preflight: Preflight, signer: str) -> Manifest:
        """The manifest with its first record, or the earlier run's with `resumed` at its end."""
        if self.previous is not None:
            self.run_id = self.previous.run_id
        first = begin(self.run_id, self.options, self.transport, preflight, signer)
        if self.previous is not None:
            return reopen_manifest(self.previous, first)
        manifest = Manifest(self.evidence)
        manifest.add("begin", **encode(first))
        return manifest

    def _record(self, preflight: Preflight, log: CustodyLog, key: Ed25519PrivateKey | None) -> Mapping[str, Any]:
        manifest = log.manifest
        session = NodeSession(self.transport, self.run_id, self.options.grace)
        captured = Captured()
        stopped: BaseException | None = None
        left: list[str] = []
        try:
            try:
                (self._on_node if self.previous is None else self._go_on)(preflight, session, log, captured)
            except (MemirError, KeyboardInterrupt, OSError) as error:
                stopped = error
            _free(self.evidence)
            if captured.stored is None and captured.begun:
                captured.stored = captured.give_up(self.sink, _words(stopped))
        finally:
            left = self._clean(session, manifest)
        if self.snapshot is not None and not isinstance(stopped, KeyboardInterrupt | Interrupted):
            stopped = self._cluster(log) or stopped
        try:
            verdict = self._judge(preflight, captured, stopped)
        except (KeyboardInterrupt, Interrupted) as error:
            stopped = error
            verdict = Verdict((_words(error),))
        final = finish(log, key, Outcome(self.run_id, preflight, captured, verdict, left, stopped, self.options))
        self._raise(final, verdict, stopped)
        return final

    def _on_node(self, preflight: Preflight, session: NodeSession, log: CustodyLog, captured: Captured) -> None:
        manifest, tool = log.manifest, preflight.tool
        session.start(sum(file.size for file in tool.files) + SPARE_TMPFS)
        manifest.add(
            "node", directory=session.run.directory, mounted=session.mounted, stale=session.stale, grace=session.grace
        )
        if session.planted:
            why = f"user {session.planted} had put a lock of memir's name there; it was removed"
            log.problems.append(f"the node: {why}")
            manifest.add("problem", where="lock", why=why)
        with session.heartbeat():
            session.put_tool(tool)
            command = tool.command(session.run)
            manifest.add("tool", **encode(tool_record(tool, command)))
            if self.options.context:
                log.context(collect(self.transport, session.run, self.sink, "before", self.evidence / CONTEXT))
            meta = SinkMeta(
                self.run_id, preflight.state.facts.hostname, IMAGE + SUFFIX[tool.format], tool.format,
                preflight.state.facts.ram_bytes, now(),
            )  # fmt: skip
            self.sink.begin(meta)
            captured.begun = True
            upload = self.sink.begun() if isinstance(self.sink, DirectSink) else {}
            manifest.add("capture", where=self.sink.where, ram_bytes=meta.ram_bytes, **upload)
            self._capture(preflight, session, command, meta, log, captured)

    def _go_on(self, preflight: Preflight, session: NodeSession, log: CustodyLog, captured: Captured) -> None:
        """Take over a capture that goes on: its sink, its uploader, its end."""
        assert self.previous is not None
        session.adopt(self.previous.directory, self.previous.grace)
        with session.heartbeat():
            captured.begun = True
            self.sink.begin(self.previous.meta)
            self._capture(preflight, session, "", self.previous.meta, log, captured)

    def _capture(
        self,
        preflight: Preflight,
        session: NodeSession,
        command: str,
        meta: SinkMeta,
        log: CustodyLog,
        captured: Captured,
    ) -> None:
        Capture(
            self.transport, session.run, command, self.sink, meta, self.options, self.report, captured,
            python="python3" in preflight.state.facts.commands, going=self.previous is not None,
            ram=preflight.state.ram, instance_memory=self._instance_memory(),
        ).go()  # fmt: skip
        log.manifest.add("captured", **receipt_fields(captured.receipt))
        if self.options.context:
            log.context(collect(self.transport, session.run, self.sink, "after", self.evidence / CONTEXT))

    def _clean(self, session: NodeSession, manifest: Manifest) -> list[str]:
        left = session.finish()
        manifest.add("cleaned", left=left)
        with suppress(RemoteError, OSError):
            self.transport.close()
        return left

    def _cluster(self, log: CustodyLog) -> MemirError | None:
        assert self.snapshot is not None
        try:
            log.files(self.snapshot(self.evidence / "cluster"))
        except MemirError as error:
            log.manifest.add("problem", where="cluster", why=str(error))
            return error
        return None

    def _judge(self, preflight: Preflight, captured: Captured, stopped: BaseException | None) -> Verdict:
        reasons = [_words(stopped)] if stopped is not None else []
        state = preflight.state
        self.report(Progress(captured.size, captured.size, 0.0, "check"))
        return judge_image(
            reasons, preflight.tool, captured, state, getattr(self.sink, "reader", None),
            instance_memory=self._instance_memory(),
        )  # fmt: skip

    def _instance_memory(self) -> int:
        memory = self.transport.identity().get("instance_memory", "")
        return int(memory) if memory.isdigit() else 0

    def _raise(self, final: Mapping[str, object], verdict: Verdict, stopped: BaseException | None) -> None:
        if not verdict.missing:
            return
        words = "; ".join(verdict.missing[:3])
        message = f"{self.evidence}: {final['status']}, {words}. {final['resume']}"
        if isinstance(stopped, KeyboardInterrupt | Interrupted):
            raise Interrupted(message)
        raise PartialError(message) from stopped


def _reserve(folder: Path) -> None:
    """Set a little room aside, so that the end can be written down even when the image filled the disk."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / RESERVE).unlink(missing_ok=True)
        with (folder / RESERVE).open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVED)
    except OSError as error:
        (folder / RESERVE).unlink(missing_ok=True)
        raise StorageError(f"{folder} has no room: {error}") from error


def _free(folder: Path) -> None:
    (folder / RESERVE).unlink(missing_ok=True)


def _words(error: BaseException | None) -> str:
    if error is None:
        return "the capture did not end"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by the user"
    return str(error)
