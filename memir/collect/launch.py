# SPDX-License-Identifier: Apache-2.0
"""From options to a run: which pod, by which transport, into which folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memir.acquire.settings import Shared, size_of
from memir.acquire.transports.local_options import LocalOptions
from memir.acquire.transports.pod.options import IMAGE, PodAcquireOptions
from memir.acquire.transports.ssh.options import SshOptions
from memir.collect.run import CollectOptions, PodCollection
from memir.collect.target import Target, by_api, by_uid
from memir.errors import UsageError
from memir.evidence.progress import Report
from memir.kubeapi.client import KubeOptions, make_api

if TYPE_CHECKING:
    from memir.acquire.transports.base import Transport

TRANSPORTS = ("pod", "ssh", "local")
NODE_ROOT = "/proc/1/root"
"""The node's root file system, as a privileged pod that sees the node's processes has it."""


@dataclass
class Settings:
    """What the command line takes. name: NAMESPACE/NAME. uid: the pod's, so that the API server is not asked."""

    name: str
    output: Path
    transport: str = "pod"
    uid: str = ""
    host: str | None = None
    port: int | None = None
    identity: Path | None = None
    known_hosts: Path | None = None
    ssh_config: Path | None = None
    jump: str | None = None
    sudo: bool = False
    root: Path | None = None
    node: str | None = None
    namespace: str = "default"
    image: str = IMAGE
    kubeconfig: str | None = None
    context: str | None = None
    memory: bool = True
    rootfs: bool = False
    sign_key: Path | None = None
    timestamp_url: str = ""
    case: str = ""
    max_size: str = ""


def prepare(settings: Settings, report: Report = lambda _: None, command: Sequence[str] = ()) -> PodCollection:
    """The run. Raises UsageError for options that do not go together, RemoteError where the API server refuses."""
    check(settings)
    options = CollectOptions(
        memory=settings.memory, rootfs=settings.rootfs, sign_key=settings.sign_key, case=settings.case,
        timestamp_url=settings.timestamp_url, command=command, max_size=size_of(settings.max_size, "--max-size"),
        root=NODE_ROOT if settings.transport == "pod" else "",
    )  # fmt: skip
    target = target_of(settings)
    return PodCollection(transport_of(settings, target), target, settings.output, options, report)


def check(settings: Settings) -> None:
    """Raises UsageError for options that do not go together."""
    if settings.transport == "ssm":
        raise UsageError("--transport ssm carries no stream, and nothing is put on the node's disk: write pod or ssh")
    if settings.transport not in TRANSPORTS:
        raise UsageError(f"--transport {settings.transport!r}: write {', '.join(TRANSPORTS)}")
    if settings.transport == "ssh" and not settings.host:
        raise UsageError("--transport ssh: which host? pass --host USER@HOST, the node that the pod is on")
    if settings.transport != "ssh" and settings.host:
        raise UsageError(f"--host is of --transport ssh, not of {settings.transport}")
    if settings.transport == "pod" and settings.uid and not settings.node:
        raise UsageError("--uid does not ask the API server which node the pod is on: pass --node too")


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
    node = settings.node or target.pod.node
    # its own sh and Python do the work where the node has none; the static helper cannot
    own = PodAcquireOptions([node], None, settings.namespace, settings.image, "none", host_pid=True)
    return own.transport(node, shared)
