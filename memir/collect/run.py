# SPDX-License-Identifier: Apache-2.0
"""One pod collected, from the first look to the receipt.

The order is: look, ask the API server, run the collector on the node (its files come as one stream, nothing is written
there), judge, write the receipt. Whatever goes wrong after the folder was begun, what arrived is kept, marked partial.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memir.acquire.preflight import NodeState, read_facts, refuse, survey
from memir.acquire.receipt import CustodyLog, seal_manifest, signer_of, signing_key, version, who
from memir.acquire.sinks.file import FileSink
from memir.acquire.timestamp import check_url
from memir.acquire.transports.base import Transport
from memir.collect import checkpoint
from memir.collect.folder import Folder
from memir.collect.node_side import script
from memir.collect.objects import ObjectStore
from memir.collect.over_ssm import SsmStreams
from memir.collect.side import Side
from memir.collect.stream import Received, receive
from memir.collect.target import Target, write_api
from memir.documents import encode
from memir.errors import (
    AccessError,
    ConnectError,
    Interrupted,
    MemirError,
    NodeError,
    PartialError,
    RemoteError,
    StorageError,
)
from memir.evidence.collected import FACTS, CollectedGap, Collection, CollectionBegin, collection_problems
from memir.evidence.custody import Manifest, now
from memir.evidence.plan import Check, Plan, Step, Trace
from memir.evidence.pod_receipt import KIND, PodReceipt
from memir.evidence.progress import Progress, Report
from memir.evidence.receipt import ReceiptNode
from memir.evidence.records import SCHEMA, Begin, NodeRecord, Status, VerdictRecord


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """What the user chose. max_size: bytes of all files together, 0 for what the disk has room for."""

    memory: bool = True
    rootfs: bool = False
    checkpoint: bool = False
    sign_key: Path | None = None
    timestamp_url: str = ""
    case: str = ""
    command: Sequence[str] = ()
    max_size: int = 0
    root: str = ""


@dataclass
class PodCollection:
    """One pod, one evidence folder. options.root: the node's root as seen by the transport's scripts.

    store: where the files go; the folder has the record of them alone then. side: from where it is looked at. more:
    writes what else is known of the pod into the folder, and gives what could not be had.
    """

    transport: Transport
    target: Target
    evidence: Path
    options: CollectOptions = field(default_factory=CollectOptions)
    report: Report = lambda _: None
    store: ObjectStore | None = None
    side: Side = field(default_factory=Side)
    more: Callable[[Folder], Sequence[CollectedGap]] | None = None
    run_id: str = field(
        default_factory=lambda: f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
    )

    def preflight(self, *, look: bool = True) -> tuple[NodeState, tuple[Check, ...], Plan]:
        """Connect and look, changing nothing. Raises NodeError, AccessError or ConnectError.

        look: False where looking leaves what cannot be taken back (side.permanent): only who is asked first is asked.
        """
        if not self.transport.streams:
            raise NodeError(f"the {self.transport.kind} transport carries no stream: write --transport pod, ssh or ssm")
        self.transport.connect()
        checks = [*self.transport.check(), *FileSink(self.evidence).check()]
        checks += self.store.check() if self.store is not None else ()
        if not look:
            return read_facts({}, time.time()), tuple(checks), self.plan()
        if self.side.permanent:
            refuse(checks)
        state = survey(self.transport)
        return state, (*checks, self.side.may(state.facts.uid)), self.plan()

    def plan(self) -> Plan:
        """Every step, and what stays behind."""
        steps: list[Step] = [*self.transport.steps()]
        if self.target.api is not None:
            steps.append(Step("read the pod, its node, events and logs from the API server", "kubernetes"))
        steps += [
            Step("run the collector from memory, as one process at low priority; nothing is written there", "node"),
            Step(f"stream {self.side.wanted(memory=self.options.memory, rootfs=self.options.rootfs)}", "node"),
            *((checkpoint.STEP,) if self.options.checkpoint else ()),
            *(self.store.steps() if self.store is not None else ()),
            Step("compare every file's hash with the node's, judge, write the receipt", "controller"),
        ]
        traces = (
            *self.transport.traces(),
            *self.side.traces(),
            Trace("processes' memory", "pages that were swapped out are read back in", stays=self.options.memory),
        )
        if self.target.api is not None:
            traces = (*traces, Trace("Kubernetes audit log", "get of the pod, its log and node, list of events"))
        traces = (*traces, *(checkpoint.TRACES if self.options.checkpoint else ()))
        if self.store is not None:
            traces = (*traces, *self.store.traces())
        return Plan(tuple(steps), traces)

    def execute(self) -> Mapping[str, Any]:
        """Collect. Returns the receipt of a whole collection.

        Raises PartialError (exit 4) or Interrupted (exit 130) when it is not whole; the folder then has what arrived.
        """
        key = signing_key(self.options.sign_key)
        if self.options.timestamp_url:
            check_url(self.options.timestamp_url)
        try:
            state, checks, plan = self.preflight()
            refuse(checks)
            manifest = self._begin(state, checks, plan, signer_of(key))
        except BaseException:
            self.transport.close()
            raise
        try:
            folder = Folder(self.evidence, manifest, self.options.max_size, self.store, self.run_id)
            return self._record(folder, state, plan, key)
        finally:
            manifest.close()

    def _begin(self, state: NodeState, checks: tuple[Check, ...], plan: Plan, signer: str) -> Manifest:
        facts = state.facts
        try:
            self.evidence.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageError(f"{self.evidence}: cannot be written: {error.strerror}") from error
        manifest = Manifest(self.evidence)
        node = NodeRecord(facts.hostname, facts.kernel, facts.machine, facts.boot_id, mem_total=facts.mem_total,
                          clock_offset=facts.clock_offset, lockdown=facts.lockdown)  # fmt: skip
        begin = Begin(
            run=self.run_id, memir=version(), who=who(), transport=self.transport.kind,
            identity=dict(self.transport.identity()), node=node, case=self.options.case,
            command=tuple(self.options.command), checks=checks, plan=plan, schema=SCHEMA, signer=signer,
        )  # fmt: skip
        manifest.add("begin", **encode(begin))
        options = self.options
        manifest.add("pod", **encode(CollectionBegin(self.target.pod, options.memory, options.rootfs, self.where)))
        return manifest

    @property
    def where(self) -> str:
        """s3://... of the files, "" if they go into the folder."""
        return self.store.where if self.store is not None else ""

    def _record(self, folder: Folder, state: NodeState, plan: Plan, key: Any) -> Mapping[str, Any]:
        received, gaps, archives = Received(), [], checkpoint.Checkpoints()
        code: int | None = None
        stopped: BaseException | None = None
        begun = time.monotonic()
        try:
            gaps += [*self.side.lacks(), *write_api(self.target, folder)]
            gaps += self.more(folder) if self.more is not None else ()
            with heartbeat(self.transport):
                code = self._node(folder, received)
                if self.options.checkpoint:
                    code = self._checkpoint(folder, received, archives) or code
        except (MemirError, KeyboardInterrupt, OSError) as error:
            stopped = error
            of_node = isinstance(error, RemoteError) and not isinstance(error, StorageError | AccessError)
            where = self.side.where if of_node else "the collection"
            words = "interrupted by the user" if isinstance(error, KeyboardInterrupt) else str(error)
            gaps.append(CollectedGap("run", where, words[:500], missing=True))
        finally:
            with suppress(RemoteError, OSError):
                self.transport.close()
        gaps += [*received.gaps, *archives.gaps]
        processes = received.facts.get("processes")
        if received.sent is not None and not processes and not received.facts.get("containers"):
            gaps.append(CollectedGap("node", state.facts.hostname, self.side.nothing(self.target), missing=True))
        try:
            folder.add_json(FACTS, {"node": received.facts, "files": received.by_file})
        except RemoteError as error:
            gaps.append(CollectedGap("file", FACTS, str(error)[:500], missing=True))
        collection = Collection(
            self.target.pod, code, received.sent, received.files, folder.size,
            processes if isinstance(processes, int) else 0, round(time.monotonic() - begun, 3), self.options.memory,
            self.options.rootfs, tuple(gaps), self.where, tuple(received.layers),
        )  # fmt: skip
        # of what passes through a bucket, the transport knows what stays
        left = (*archives.left, *(self.transport.left if isinstance(self.transport, SsmStreams) else ()))
        return self._close(folder, state, plan, key, collection, stopped, left)

    def _checkpoint(self, folder: Folder, received: Received, out: checkpoint.Checkpoints) -> int | None:
        """Checkpoints of the pod's containers, as more of the same collection; the collector's exit code."""
        codes: list[int | None] = []

        def stream(archives: dict[str, str]) -> Received:
            more = Received()
            try:
                codes.append(self._node(folder, more, archives))
            finally:
                received.files += more.files
                received.gaps += more.gaps
                received.by_file |= more.by_file
                whole = received.sent is not None and more.sent is not None
                received.sent = (received.sent or 0) + (more.sent or 0) if whole else None
            return more

        checkpoint.take(self.target, self.transport, folder, self.options.root, stream, out)
        return codes[0] if codes else 0

    def _node(self, folder: Folder, received: Received, archives: Mapping[str, str] | None = None) -> int | None:
        """Run the collector; its exit code. archives: for these alone. Raises ConnectError, NodeError, StorageError."""
        memory, rootfs = self.options.memory, self.options.rootfs
        data = self.side.bundle(self.target, memory=memory, rootfs=rootfs, archives=archives or {})
        stream = self.transport.open_stream(script(self.options.root), data=data)
        begun = time.monotonic()

        def told(size: int, name: str) -> None:
            self.report(Progress(size, 0, size / max(time.monotonic() - begun, 0.001), name))

        try:
            try:
                receive(stream, folder, received, told)
            except (ConnectError, NodeError) as error:
                result = stream.wait(30)
                words = result.error.strip().splitlines()
                if words and received.sent is None:
                    raise NodeError(f"{error}; the node's last words: {words[-1][:300]}") from error
                raise
            result = stream.wait(60)
        finally:
            stream.close()
        return result.code

    def _close(
        self, folder: Folder, state: NodeState, plan: Plan, key: Any, collection: Collection,
        stopped: BaseException | None, left: Sequence[str] = (),
    ) -> Mapping[str, Any]:  # fmt: skip
        interrupted = isinstance(stopped, KeyboardInterrupt | Interrupted)
        missing = tuple(collection_problems(collection, folder.names))
        status: Status = "interrupted" if interrupted else "partial" if missing else "complete"
        facts = state.facts
        receipt = PodReceipt(
            kind=KIND, memir=version(), run=self.run_id, status=status, missing=missing, notes=self.side.notes(),
            finished=now(),
            node=ReceiptNode(facts.hostname, facts.kernel, facts.machine, facts.boot_id),
            clock_offset=facts.clock_offset, collection=collection, left_on_node=(*left, *self.side.leaves()),
            traces=tuple(trace for trace in plan.traces if trace.stays), schema=SCHEMA, case=self.options.case,
        )  # fmt: skip
        manifest = folder.manifest
        manifest.add("collection", **encode(collection))
        manifest.add("verdict", **encode(VerdictRecord(status, missing)))
        log = CustodyLog(manifest, self.evidence, FileSink(self.evidence) if self.store is None else self.store.sink)
        document = seal_manifest(log, key, receipt.write(), status, receipt.document(), self.options.timestamp_url)
        document["notes"] = [*document["notes"], *log.problems]
        if status == "complete":
            return document
        message = f"{self.where or self.evidence}: {status}, {'; '.join(missing[:3])}. What arrived is kept"
        if interrupted:
            raise Interrupted(message)
        raise PartialError(message) from stopped


@contextmanager
def heartbeat(transport: Transport, seconds: float = 200.0) -> Iterator[None]:
    """Keep a privileged pod alive while the stream runs: it ends by itself when it hears nothing for 900 s."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(seconds):
            with suppress(RemoteError):
                transport.run(":", timeout=60)

    thread = threading.Thread(target=beat, daemon=True)
    if transport.kind in ("pod", "ephemeral"):
        thread.start()
    try:
        yield
    finally:
        stop.set()
