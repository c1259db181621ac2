# SPDX-License-Identifier: Apache-2.0
"""From options to a run from within a pod: which container, by which way, into which folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, get_args

from memir.acquire.transports.pod.options import IMAGE
from memir.aws.client import Client, Connection, service_client
from memir.collect.fargate.container import began, running, user_of
from memir.collect.fargate.interfaces import interfaces_of
from memir.collect.fargate.settings import FargateSettings
from memir.collect.fargate.transport import ContainerTransport, Way
from memir.collect.folder import Folder
from memir.collect.launch import folder_of, options_of, store_of
from memir.collect.run import PodCollection
from memir.collect.side import Beside
from memir.collect.target import Target, by_api, on_fargate
from memir.errors import NodeError, RemoteError, UsageError
from memir.evidence.collected import CollectedGap
from memir.evidence.progress import Report
from memir.kubeapi.client import KubeOptions, make_api
from memir.kubeapi.pod import container_ids

ENI = "api/interfaces.json"


def prepare(
    settings: FargateSettings, report: Report = lambda _: None, command: Sequence[str] = ()
) -> PodCollection:  # fmt: skip
    """The run; nothing is changed. Raises UsageError, RemoteError where the API server refuses."""
    ways: Mapping[str, Way] = {way: way for way in get_args(Way)}
    way = ways.get(settings.way)
    if way is None:
        raise UsageError(f"--way {settings.way!r}: write {' or '.join(ways)}")
    kube = KubeOptions(settings.kubeconfig, settings.context)
    target = by_api(make_api(kube), settings.name, beside=True)
    document = target.document or {}
    spec, status = running(document, settings.container)
    pod, name = target.pod, str(spec.get("name"))
    image = settings.image or IMAGE
    transport = ContainerTransport(
        pod.namespace, pod.name, name, way, kube, image=image, accepted=settings.accept_ephemeral,
        user=user_of(document, spec, settings.user) if way == "ephemeral" else (None, None),
    )  # fmt: skip
    side = Beside(
        apart=way == "ephemeral", permanent=way == "ephemeral", target=next(iter(container_ids(status)), ""),
        began=tuple(began(document).items()),
        shared=(document.get("spec") or {}).get("shareProcessNamespace") is True,
        left=f"ephemeral container {transport.name} of pod {settings.name}, in its specification until it is gone; "
        "its process was told to end" if way == "ephemeral" else "",
    )  # fmt: skip
    options = options_of(settings, command)
    folder = folder_of(settings, target)
    more = None
    if settings.eni:
        ec2 = service_client("ec2", Connection(settings.region, settings.ec2_endpoint, settings.profile))
        more = partial(write_interfaces, ec2, target)
    return PodCollection(
        transport, target, folder, options, report, store_of(settings, folder), side=side, more=more
    )  # fmt: skip


def where_it_runs(target: Target) -> str:
    """A warning for a pod whose node may be reached, "" for one on Fargate."""
    if on_fargate(target.document or {}):
        return ""
    name = f"{target.pod.namespace}/{target.pod.name}"
    return f"pod {name} is not on EKS Fargate: `memir collect pod {name}`, from its node's side, gives more"


def write_interfaces(ec2: Client, target: Target, folder: Folder) -> list[CollectedGap]:
    """api/interfaces.json: the pod's network interface as AWS has it, by the pod's addresses; what could not be had."""
    status: Mapping[str, Any] = (target.document or {}).get("status") or {}
    addresses = [str(entry.get("ip")) for entry in status.get("podIPs") or [] if entry.get("ip")]
    addresses = addresses or [str(status["podIP"])] if status.get("podIP") or addresses else []
    pod = f"{target.pod.namespace}/{target.pod.name}"
    if not addresses:
        return [CollectedGap("network interface", pod, "the pod has no address")]
    known: dict[str, Any] = {}
    try:
        for address in addresses:
            items = interfaces_of(ec2, address)
            if not items:
                raise NodeError(f"AWS has no interface of the address {address} in this region and account")
            known[address] = items
    except RemoteError as error:
        return [CollectedGap("network interface", pod, str(error)[:500], missing=True)]
    finally:
        if known:
            folder.add(ENI, as_json(known))
    several = [address for address, items in known.items() if len(items) > 1]
    why = "is in several networks of this account: all interfaces that have it are kept"
    return [CollectedGap("network interface", address, why) for address in several]


def as_json(value: Any) -> bytes:
    """A document with its times in words."""
    import json

    return json.dumps(value, indent=1, ensure_ascii=True, default=str).encode() + b"\n"
