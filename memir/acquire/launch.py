# SPDX-License-Identifier: Apache-2.0
"""From options to runs: evidence folders, sinks, one Acquisition a node."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from memir.acquire.options import Options
from memir.acquire.resume import PreviousRun, read_previous
from memir.acquire.run import Acquisition
from memir.acquire.settings import Shared, StoreSettings, TransportOptions, size_of
from memir.acquire.sinks.base import Sink
from memir.acquire.sinks.file import FileSink
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.sinks.s3.options import S3Options, lock_of
from memir.acquire.sinks.s3.stream import S3StreamSink
from memir.acquire.tools.store import Choice
from memir.acquire.transports.base import Transport
from memir.acquire.transports.unreached import Unreached
from memir.aws.address import S3Address
from memir.aws.client import Connection, bucket_owner
from memir.errors import RemoteError, UsageError
from memir.evidence.plan import Format
from memir.evidence.progress import Report
from memir.kubeapi.client import KubeOptions


def prepare(
    own: TransportOptions, shared: Shared, command: Sequence[str] = ()
) -> tuple[list[str], Callable[[str, Report], Acquisition]]:
    """(the nodes, what makes the acquisition of one). command: for the manifest. Raises UsageError."""
    own.check(shared)
    options = run_options(own, shared, command)
    if shared.output is not None and shared.to is not None and not shared.to.startswith("s3://"):
        raise UsageError("give the evidence folder once: with -o, or with --to FOLDER")
    names, unnamed = _names(own, shared)
    previous = previous_run(shared, names)

    def make(name: str, report: Report) -> Acquisition:
        transport = _transport(own, name, shared, unnamed)
        folder = evidence_folder(shared, name, many=len(names) > 1)
        if previous is not None and previous.transport != transport.kind:
            raise UsageError(f"--resume {folder}: that run went over {previous.transport}, not {transport.kind}")
        sink = make_sink(shared, folder, transport) if previous is None else resumed_sink(shared, previous)
        snapshot = cluster_snapshot(shared) if shared.cluster else None
        return Acquisition(transport, sink, folder, options, report=report, snapshot=snapshot, previous=previous)

    return names, make


def _names(own: TransportOptions, shared: Shared) -> tuple[list[str], RemoteError | None]:
    """(the nodes, None). For a dry run that cannot ask for them: (any of them, why)."""
    try:
        return own.names(shared), None
    except RemoteError as error:
        if not shared.dry_run:
            raise
        return ["NODE"], error


def _transport(own: TransportOptions, name: str, shared: Shared, why: RemoteError | None) -> Transport:
    """The way to a node; for a dry run that has none, what it would do and leave."""
    try:
        way = own.transport(name, shared)
    except RemoteError as error:
        if not shared.dry_run:
            raise
        way, why = own.offline(name, shared), why or error
    return Unreached(way, why) if why is not None else way


def run_options(own: TransportOptions, shared: Shared, command: Sequence[str]) -> Options:
    """The run's options. Raises UsageError on a wrong word."""
    if shared.tool not in {"auto", "avml", "lime"}:
        raise UsageError(f"--tool {shared.tool!r}: write avml, lime or auto")
    if shared.format not in {"avml", "lime"}:
        raise UsageError(f"--format {shared.format!r}: write avml or lime (raw has no addresses and is not offered)")
    return Options(
        tool=cast("Choice", shared.tool), tool_path=shared.tool_path,
        format=cast("Format", "lime" if shared.tool == "lime" else shared.format), grace=shared.grace,
        nice=shared.nice, limit_rate=size_of(shared.limit_rate), node_hash=own.node_hash(),
        context=not shared.no_context, sign_key=shared.sign_key, isolating=shared.isolating, command=command,
        case=shared.case, timestamp_url=shared.timestamp_url, max_size=size_of(shared.max_size, "--max-size"),
    )  # fmt: skip


def evidence_folder(shared: Shared, name: str, *, many: bool) -> Path:
    """Where a node's evidence goes on the controller."""
    if shared.resume is not None:
        return shared.resume
    safe = file_name(name.rpartition("@")[2], 80) or "node"
    given = shared.output
    if given is None and shared.to is not None and not shared.to.startswith("s3://"):
        given = Path(shared.to)
    if given is None:
        return stamped(safe)
    return given / safe if many else given


def file_name(text: str, most: int) -> str:
    """Text as a file's name of `most` characters at most: what is no letter, digit, dot or dash is an underscore."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:most]


def stamped(name: str) -> Path:
    """A folder's name for what begins now, where the user gave none."""
    return Path(f"memir-{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")


def previous_run(shared: Shared, names: Sequence[str]) -> PreviousRun | None:
    """The run that --resume names."""
    if shared.resume is None:
        return None
    if len(names) > 1:
        raise UsageError("--resume goes on with one node: name that one")
    if shared.output is not None and shared.output != shared.resume:
        raise UsageError("--resume goes on in its own evidence folder: leave -o away")
    return read_previous(shared.resume)


def resumed_sink(shared: Shared, previous: PreviousRun) -> Sink:
    """The sink of a run that is gone on with: the same upload."""
    options = S3Options(
        connection_of(shared), kms_key=shared.kms_key, resume=previous.upload_id, part_size=previous.part_size
    )
    return S3DirectSink(S3Address.parse(previous.place), options)


def make_sink(shared: Shared, folder: Path, transport: Transport) -> Sink:
    """The sink for a run: the evidence folder, or S3 from the node or through here."""
    if shared.to is None or not shared.to.startswith("s3://"):
        return FileSink(folder)
    if shared.via not in {"", "node", "controller"}:
        raise UsageError(f"--via {shared.via!r}: write node or controller")
    address, options = stored_below(shared, shared.to, folder, rate=float(size_of(shared.limit_rate)))
    if shared.via == "controller" and transport.streams:
        return S3StreamSink(address, options)
    return S3DirectSink(address, options)


def stored_below(settings: StoreSettings, place: str, folder: Path, rate: float = 0.0) -> tuple[S3Address, S3Options]:
    """Where in S3 a run is stored, PREFIX/NAME-OF-ITS-FOLDER, and how. Raises UsageError."""
    mode, days = lock_of(settings.object_lock)
    base = S3Address.parse(place)
    options = S3Options(
        connection_of(settings), lock_mode=mode, lock_days=days, kms_key=settings.kms_key, rate=rate
    )  # fmt: skip
    return S3Address(base.bucket, base.key(folder.name)), options


def connection_of(settings: StoreSettings) -> Connection:
    """How S3 is reached. Raises UsageError for an owner that is no account."""
    return Connection(settings.region, settings.s3_endpoint, settings.profile, bucket_owner(settings.bucket_owner))


def cluster_snapshot(shared: Shared) -> Callable[[Path], Sequence[Path]]:
    """Takes the snapshot of the cluster that --kubeconfig and --context name, not of the default one."""
    options = KubeOptions(shared.kubeconfig, shared.context)

    def take(folder: Path) -> Sequence[Path]:
        from memir.kubeapi.snapshot import snapshot

        return snapshot(folder, options)

    return take
