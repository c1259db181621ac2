# SPDX-License-Identifier: Apache-2.0
"""From options to a run: which pod, by which transport, into which folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from memir.acquire.launch import connection_of, file_name, stamped, stored_below
from memir.acquire.settings import Shared, size_of
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.local_options import LocalOptions
from memir.acquire.transports.pod.options import PodAcquireOptions
from memir.acquire.transports.ssh.options import SshOptions
from memir.acquire.transports.ssm.options import SsmOptions
from memir.aws.address import S3Address
from memir.collect.objects import ObjectStore
from memir.collect.over_ssm import SsmStreams
from memir.collect.run import CollectOptions, PodCollection
from memir.collect.settings import Collecting, Settings
from memir.collect.target import Target, by_api, by_uid
from memir.errors import NodeError, UsageError
from memir.evidence.progress import Report
from memir.kubeapi.client import KubeOptions, make_api
from memir.kubeapi.nodes import instance_of, no_ssm
from memir.kubeapi.pod import read_node

if TYPE_CHECKING:
    from memir.acquire.transports.base import Transport

TRANSPORTS = ("pod", "ssh", "local", "ssm")
NODE_ROOT = "/proc/1/root"
"""The node's root file system, as a privileged pod that sees the node's processes has it."""


def prepare(settings: Settings, report: Report = lambda _: None, command: Sequence[str] = ()) -> PodCollection:
    """The run. Raises UsageError for options that do not go together, RemoteError where the API server refuses."""
    check(settings)
    root = NODE_ROOT if settings.transport == "pod" else ""
    options = replace(options_of(settings, command), checkpoint=settings.checkpoint, root=root)
    target = target_of(settings)
    folder = folder_of(settings, target)
    return PodCollection(transport_of(settings, target), target, folder, options, report, store_of(settings, folder))


def check(settings: Settings) -> None:
    """Raises UsageError for options that do not go together."""
    if settings.to and settings.output.startswith("s3://"):
        raise UsageError("give the S3 address once: with -o, or with --to and the folder of the record with -o")
    if settings.to and not settings.to.startswith("s3://"):
        raise UsageError(f"--to {settings.to!r} is no S3 address: write s3://BUCKET/PREFIX, or a folder with -o")
    if settings.transport not in TRANSPORTS:
        raise UsageError(f"--transport {settings.transport!r}: write {', '.join(TRANSPORTS)}")
    if settings.transport == "ssh" and not settings.host:
        raise UsageError("--transport ssh: which host? pass --host USER@HOST, the node that the pod is on")
    if settings.transport != "ssh" and settings.host:
        raise UsageError(f"--host is of --transport ssh, not of {settings.transport}")
    if settings.transport == "ssm" and not passage_of(settings):
        raise UsageError(
            "--transport ssm: Run Command carries no stream, so it passes through a bucket and is removed there: pass "
            "--spool s3://BUCKET/PREFIX, or store the files there with --to. Without a bucket: --transport pod or ssh"
        )
    if settings.spool and not settings.spool.startswith("s3://"):
        raise UsageError(f"--spool {settings.spool!r} is no S3 address: write s3://BUCKET/PREFIX")
    if settings.transport != "ssm" and (settings.instance_id or settings.spool or settings.ssm_endpoint):
        raise UsageError(
            f"--instance-id, --spool and --ssm-endpoint are of --transport ssm, not of {settings.transport}"
        )
    if settings.transport == "ssm" and settings.uid and not settings.instance_id:
        raise UsageError("--uid does not ask the API server which node the pod is on: pass --instance-id too")
    if settings.checkpoint and settings.uid:
        raise UsageError("--checkpoint asks the kubelet by the API server, which --uid does not ask: leave one out")
    if settings.transport == "pod" and settings.uid and not settings.node:
        raise UsageError("--uid does not ask the API server which node the pod is on: pass --node too")


def options_of(settings: Collecting, command: Sequence[str]) -> CollectOptions:
    """What every way of collecting takes of its options. Raises UsageError for a size that is none."""
    return CollectOptions(
        memory=settings.memory, rootfs=settings.rootfs, sign_key=settings.sign_key, case=settings.case,
        timestamp_url=settings.timestamp_url, command=command, max_size=size_of(settings.max_size, "--max-size"),
    )  # fmt: skip


def folder_of(settings: Collecting, target: Target) -> Path:
    """The folder of the record, and of the files unless they go to S3."""
    if not settings.output.startswith("s3://"):
        return Path(settings.output)
    pod = target.pod
    return stamped(file_name(f"{pod.namespace}-{pod.name}" if pod.name else pod.uid, 120))


def store_of(settings: Collecting, folder: Path) -> ObjectStore | None:
    """Where the files go, below PREFIX/NAME-OF-THE-FOLDER; None for into the folder. Raises UsageError."""
    there = settings.to or (settings.output if settings.output.startswith("s3://") else "")
    if not there:
        return None
    return ObjectStore(*stored_below(settings, there, folder))


def passage_of(settings: Settings) -> str:
    """s3://BUCKET/PREFIX below which a stream over SSM passes, "" if none was given."""
    return settings.spool or settings.to or (settings.output if settings.output.startswith("s3://") else "")


def target_of(settings: Settings) -> Target:
    """The pod, asked from the API server unless its UID was given."""
    if settings.uid:
        return by_uid(settings.uid, settings.name)
    return by_api(make_api(KubeOptions(settings.kubeconfig, settings.context)), settings.name)


def transport_of(settings: Settings, target: Target) -> Transport:
    """The way to the node, as `memir acquire` goes it."""
    shared = Shared(kubeconfig=settings.kubeconfig, context=settings.context)
    if settings.transport == "ssh":
        assert settings.host is not None  # check() has seen it
        return SshOptions(
            [settings.host], settings.port, None, settings.identity, settings.known_hosts, settings.ssh_config,
            settings.jump,
        ).transport(settings.host, shared)  # fmt: skip
    if settings.transport == "local":
        return LocalOptions(settings.root, settings.sudo).transport("", shared)
    if settings.transport == "ssm":
        return over_ssm(settings, settings.instance_id or instance_for(target))
    node = settings.node or target.pod.node
    # its own sh and Python do the work where the node has none; the static helper cannot
    own = PodAcquireOptions([node], None, settings.namespace, settings.image, "none", host_pid=True)
    return own.transport(node, shared)


def instance_for(target: Target) -> str:
    """The instance that the pod is on. Raises NodeError for a node that SSM does not reach, or that is no instance."""
    node = read_node(target.api, target.pod.node)
    if why := no_ssm(node):
        raise NodeError(f"node {target.pod.node} {why}: use --transport pod")
    return instance_of(node)


def over_ssm(settings: Settings, instance: str) -> SsmStreams:
    """An instance over SSM, as `memir acquire ssm` goes to it; the stream passes through the bucket."""
    place, kms_key = passage_of(settings), settings.kms_key
    shared = Shared(
        to=place, region=settings.region, profile=settings.profile, s3_endpoint=settings.s3_endpoint,
        bucket_owner=settings.bucket_owner, kms_key=kms_key,
    )  # fmt: skip
    inner = SsmOptions([instance], ssm_endpoint=settings.ssm_endpoint).transport(instance, shared)
    return SsmStreams(inner, S3Address.parse(place), S3Options(connection_of(settings), kms_key=kms_key))
