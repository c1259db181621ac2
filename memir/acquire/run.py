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

from memir.acquire import receipt as paper
from memir.acquire.base import Check, Format, Plan, Tool, Transport
from memir.acquire.collect import collect
from memir.acquire.custody import Manifest, now
from memir.acquire.evidence import CONTEXT, IMAGE, SUFFIX
from memir.acquire.plan import make_plan
from memir.acquire.preflight import Preflight, judge, look, refuse
from memir.acquire.resume import Earlier, still_there, take_over
from memir.acquire.session import GRACE, SPARE_TMPFS, NodeSession
from memir.acquire.sink import DirectSink, Progress, Report, Sink, SinkMeta
from memir.acquire.stream import Capture, Captured
from memir.acquire.tools import Choice, Store, choose
from memir.acquire.verdict import Verdict, judge_image
from memir.errors import Interrupted, MemirError, PartialError, RemoteError, StorageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


RESERVE, RESERVED = ".reserve", 4 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose. limit_rate: bytes a second, 0 none. sign_key: an Ed25519 private key."""

    tool: Choice = "auto"
    tool_path: Path | None = None
    format: Format = "avml"
    grace: int = GRACE
    nice: int = 10
    limit_rate: int = 0
    node_hash: bool = True
    context: bool = True
    sign_key: Path | None = None
    isolating: bool = False
    who: str = ""
    command: Sequence[str] = ()
    case: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """What the look found: nothing on the node has changed yet."""

    seen: Preflight
    tool: Tool
    plan: Plan
    checks: tuple[Check, ...]


@dataclass
class Acquisition:
    """One node, one evidence folder.

    `snapshot` writes a Kubernetes API snapshot into the folder it is given. earlier: a run to go on with, whose
    evidence folder this is.
    """

    transport: Transport
    sink: Sink
    evidence: Path
    options: Options = field(default_factory=Options)
    store: Store = field(default_factory=Store)
    report: Report = lambda _: None
    snapshot: Callable[[Path], Sequence[Path]] | None = None
    earlier: Earlier | None = None
    run_id: str = field(
        default_factory=lambda: f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
    )

    def look(self) -> Ready:
        """Connect and look, changing nothing. Raises NodeError, AccessError or ConnectError."""
        self.transport.connect()
        checks = [*self.transport.check(), *self.sink.check()]
        seen = look(self.transport)
        if self.earlier is not None:
            tool = self.earlier.the_tool(seen.facts.machine)
            checks += [still_there(self.earlier, seen.running), Check("kernel", "ok", seen.facts.kernel)]
        else:
            tool = choose(seen.facts, self.options.tool, self.options.format, self.options.tool_path, self.store)
            checks += judge(seen, tool, sum(file.size for file in tool.files))
        if isinstance(self.sink, DirectSink):
            checks += self.sink.check_node(self.transport)
        plan = make_plan(
            self.transport, tool, self.sink, grace=self.options.grace, cluster=self.snapshot is not None,
            isolating=self.options.isolating,
        )  # fmt: skip
        return Ready(seen, tool, plan, tuple(checks))

    def execute(self, ready: Ready | None = None) -> Mapping[str, Any]:
        """Acquire. Returns the receipt of a complete image.

        Raises PartialError (exit 4) or Interrupted (exit 130) when the image is not whole; the evidence
        folder then has what arrived and a receipt that says what is missing and how to go on.
        """
        try:
            key = paper.signing_key(self.options.sign_key)
            ready = ready or self.look()
            refuse(ready.checks)
            _reserve(self.evidence)
            manifest = self._open(ready)
        except BaseException:
            self.transport.close()
            raise
        book = paper.Book(manifest, self.evidence, self.sink)
        try:
            return self._record(ready, book, key)
        finally:
            _free(self.evidence)
            manifest.close()

    def _open(self, ready: Ready) -> Manifest:
        """The manifest with its first record, or the earlier run's with `resumed` at its end."""
        said = paper.begin(self.run_id, self.options, self.transport, ready)
        if self.earlier is None:
            manifest = Manifest(self.evidence)
            manifest.add("begin", **said)
            return manifest
        self.run_id = self.earlier.run_id
        return take_over(self.earlier, said | {"run": self.run_id})

    def _record(self, ready: Ready, book: paper.Book, key: Ed25519PrivateKey | None) -> Mapping[str, Any]:
        manifest = book.manifest
        session = NodeSession(self.transport, self.run_id, self.options.grace)
        got = Captured()
        stopped: BaseException | None = None
        left: list[str] = []
        try:
            try:
                (self._on_node if self.earlier is None else self._go_on)(ready, session, book, got)
            except (MemirError, KeyboardInterrupt, OSError) as error:
                stopped = error
            _free(self.evidence)
            if got.stored is None and got.begun:
                got.stored = got.give_up(self.sink, _words(stopped))
        finally:
            left = self._clean(session, manifest)
        if self.snapshot is not None and not isinstance(stopped, KeyboardInterrupt | Interrupted):
            stopped = self._cluster(book) or stopped
        try:
            verdict = self._judge(ready, got, stopped)
        except (KeyboardInterrupt, Interrupted) as error:
            stopped = error
            verdict = Verdict((_words(error),))
        final = paper.finish(book, key, paper.Story(self.run_id, ready, got, verdict, left, stopped, self.options))
        self._raise(final, verdict, stopped)
        return final

    def _on_node(self, ready: Ready, session: NodeSession, book: paper.Book, got: Captured) -> None:
        manifest, tool = book.manifest, ready.tool
        session.start(sum(file.size for file in tool.files) + SPARE_TMPFS)
        manifest.add(
            "node", directory=session.run.directory, mounted=session.mounted, stale=session.stale, grace=session.grace
        )
        with session.heartbeat():
            session.put_tool(tool)
            command = tool.command(session.run)
            manifest.add("tool", command=command, **paper.tool_fields(tool))
            if self.options.context:
                book.context(collect(self.transport, session.run, self.sink, "before", self.evidence / CONTEXT))
            meta = SinkMeta(
                self.run_id, ready.seen.facts.hostname, IMAGE + SUFFIX[tool.format], tool.format,
                ready.seen.facts.ram_bytes, now(),
            )  # fmt: skip
            self.sink.begin(meta)
            got.begun = True
            upload = self.sink.begun() if isinstance(self.sink, DirectSink) else {}
            manifest.add("capture", where=self.sink.where, ram_bytes=meta.ram_bytes, **upload)
            self._capture(ready, session, command, meta, book, got)

    def _go_on(self, ready: Ready, session: NodeSession, book: paper.Book, got: Captured) -> None:
        """Take over a capture that goes on: its sink, its uploader, its end."""
        assert self.earlier is not None
        session.adopt(self.earlier.directory, self.earlier.grace)
        with session.heartbeat():
            got.begun = True
            self.sink.begin(self.earlier.meta)
            self._capture(ready, session, "", self.earlier.meta, book, got)

    def _capture(
        self, ready: Ready, session: NodeSession, command: str, meta: SinkMeta, book: paper.Book, got: Captured
    ) -> None:
        Capture(
            self.transport, session.run, command, self.sink, meta, self.options, self.report, got,
            python="python3" in ready.seen.facts.commands, going=self.earlier is not None,
        ).go()  # fmt: skip
        book.manifest.add("captured", **paper.receipt_fields(got.receipt))
        if self.options.context:
            book.context(collect(self.transport, session.run, self.sink, "after", self.evidence / CONTEXT))

    def _clean(self, session: NodeSession, manifest: Manifest) -> list[str]:
        left = session.finish()
        manifest.add("cleaned", left=left)
        with suppress(RemoteError, OSError):
            self.transport.close()
        return left

    def _cluster(self, book: paper.Book) -> MemirError | None:
        assert self.snapshot is not None
        try:
            book.files(self.snapshot(self.evidence / "cluster"))
        except MemirError as error:
            book.manifest.add("problem", where="cluster", why=str(error))
            return error
        return None

    def _judge(self, ready: Ready, got: Captured, stopped: BaseException | None) -> Verdict:
        reasons = [_words(stopped)] if stopped is not None else []
        seen = ready.seen
        self.report(Progress(got.size, got.size, 0.0, "check"))
        return judge_image(reasons, ready.tool, got, seen, getattr(self.sink, "client", None))

    def _raise(self, final: Mapping[str, object], verdict: Verdict, stopped: BaseException | None) -> None:
        if not verdict.missing:
            return
        words = "; ".join(verdict.missing[:3])
        said = f"{self.evidence}: {final['status']}, {words}. {final['resume']}"
        if isinstance(stopped, KeyboardInterrupt | Interrupted):
            raise Interrupted(said)
        raise PartialError(said) from stopped


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
