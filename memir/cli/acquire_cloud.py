# SPDX-License-Identifier: Apache-2.0
"""`memir acquire ssm` and `memir acquire pod`: nodes that are reached through AWS or Kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from memir.cli import acquire_options as o
from memir.cli.acquire_run import go
from memir.errors import UsageError

if TYPE_CHECKING:
    from memir.acquire.transports.base import Transport

GRACE = 300
Selector = Annotated[str | None, typer.Option("--selector", "-l", help="Every node with these Kubernetes labels.")]
Tag = Annotated[str | None, typer.Option("--tag", help="Every instance with this tag: KEY=VALUE.")]
Kubeconfig = Annotated[str | None, typer.Option("--kubeconfig", help="Instead of ~/.kube/config.")]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]
Image = Annotated[
    str, typer.Option("--image", help="Image of the pod: any, unless --helper none, which needs its sh and coreutils.")
]
Helper = Annotated[
    str,
    typer.Option("--helper", metavar="auto|none|FILE", help="What works in the pod; auto: the tool store's helper."),
]


def register(app: typer.Typer) -> None:
    """Add both to `memir acquire`."""
    app.command()(ssm)
    app.command()(pod)


def ssm(
    *,
    instance_id: Annotated[list[str] | None, typer.Option("--instance-id", help="Once or several times.")] = None,
    selector: Selector = None,
    tag: Tag = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    ssm_endpoint: Annotated[str | None, typer.Option("--ssm-endpoint", help="Another SSM endpoint.")] = None,
    parallel: o.Parallel = 4,
    output: o.Output = None,
    to: o.To = None,
    tool: o.ToolName = "auto",
    tool_path: o.ToolPath = None,
    form: o.ImageFormat = "avml",
    dry_run: o.DryRun = False,
    sign_key: o.SignKey = None,
    case: o.CaseName = "",
    nice: o.Nice = 10,
    limit_rate: o.Rate = "",
    grace: o.Grace = None,
    no_context: o.NoContext = False,
    cluster: o.Cluster = False,
    isolating: o.Isolating = False,
    object_lock: o.Lock = "",
    resume: o.Resume = None,
    s3_endpoint: o.Endpoint = None,
    region: o.Region = None,
    profile: o.Profile = None,
    as_json: o.Json = False,
) -> None:
    """Through AWS Systems Manager, straight to S3: no open port, no key, no secret in a command."""
    from memir.acquire.transports.ssm.command import Commander
    from memir.acquire.transports.ssm.transport import SsmTransport
    from memir.aws.address import S3Address
    from memir.aws.client import Connection, s3_client, service_client
    from memir.aws.instances import instances_by_tag

    to = o.place_of(to, resume)
    if to is None or not to.startswith("s3://"):
        raise UsageError("SSM carries no image by itself: pass --to s3://BUCKET/PREFIX")
    options = o.options_of(
        tool, tool_path, form, nice=nice, rate=limit_rate, grace=grace or GRACE, node_hash=False,
        context=not no_context, sign_key=sign_key, case=case, isolating=isolating,
    )  # fmt: skip
    common = o.Common(
        output,
        to,
        options,
        dry_run,
        as_json,
        "node",
        cluster,
        parallel,
        s3_endpoint,
        region,
        profile,
        object_lock,
        resume,
    )
    place = S3Address.parse(to)
    ssm_way = Connection(region, ssm_endpoint, profile)

    def connect(name: str) -> Transport:
        client, sts = service_client("ssm", ssm_way), service_client("sts", ssm_way)
        return SsmTransport(
            Commander(client, name), s3=s3_client(Connection(region, s3_endpoint, profile)), spool=place, sts=sts
        )

    names = list(instance_id or [])
    if selector:
        from memir.kubeapi.client import KubeOptions
        from memir.kubeapi.nodes import instances

        names += instances(selector, KubeOptions(kubeconfig, context))
    if tag:
        names += instances_by_tag(service_client("ssm", ssm_way), tag)
    if not names:
        raise UsageError("which instance? pass --instance-id, --selector LABEL=VALUE, or --tag KEY=VALUE")
    go(common, list(dict.fromkeys(names)), connect)


def pod(
    *,
    node: Annotated[list[str] | None, typer.Option("--node", help="Name of a node; once or several times.")] = None,
    selector: Selector = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where the pod is made.")] = "default",
    image: Image = "public.ecr.aws/amazonlinux/amazonlinux:2023",
    helper: Helper = "auto",
    host_pid: Annotated[bool, typer.Option("--host-pid", help="See the node's processes (RAM needs it not).")] = False,
    host_network: Annotated[bool, typer.Option("--host-network", help="Use the node's network.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    parallel: o.Parallel = 4,
    output: o.Output = None,
    to: o.To = None,
    tool: o.ToolName = "auto",
    tool_path: o.ToolPath = None,
    form: o.ImageFormat = "avml",
    dry_run: o.DryRun = False,
    sign_key: o.SignKey = None,
    case: o.CaseName = "",
    nice: o.Nice = 10,
    limit_rate: o.Rate = "",
    grace: o.Grace = None,
    no_node_hash: o.NoHash = False,
    no_context: o.NoContext = False,
    cluster: o.Cluster = False,
    isolating: o.Isolating = False,
    via: o.Via = "",
    object_lock: o.Lock = "",
    resume: o.Resume = None,
    s3_endpoint: o.Endpoint = None,
    region: o.Region = None,
    profile: o.Profile = None,
    as_json: o.Json = False,
) -> None:
    """Through a privileged pod on the node, removed afterwards (a dry run makes it too, to look)."""
    from pathlib import Path

    from memir.acquire.tools.store import Store
    from memir.acquire.transports.pod.spec import PodOptions
    from memir.acquire.transports.pod.transport import PodTransport
    from memir.kubeapi.client import KubeOptions
    from memir.kubeapi.nodes import node_names

    options = o.options_of(
        tool, tool_path, form, nice=nice, rate=limit_rate, grace=grace or GRACE, node_hash=not no_node_hash,
        context=not no_context, sign_key=sign_key, case=case, isolating=isolating,
    )  # fmt: skip
    # the helper sends through its exec: it has no TLS of its own
    way = via or ("node" if helper == "none" else "controller")
    common = o.Common(
        output, to, options, dry_run, as_json, way, cluster, parallel, s3_endpoint, region, profile, object_lock, resume
    )
    kube = KubeOptions(kubeconfig, context)
    find_helper = None if helper == "none" else Store().helper if helper == "auto" else lambda _: Path(helper)
    chosen = PodOptions(namespace=namespace, image=image, host_pid=host_pid, host_network=host_network)

    def connect(name: str) -> Transport:
        return PodTransport(name, chosen, kube, take_over=resume is not None, find_helper=find_helper)

    names = [*(node or []), *(node_names(selector, kube) if selector else [])]
    if not names:
        raise UsageError("which node? pass --node, or --selector KEY=VALUE")
    go(common, list(dict.fromkeys(names)), connect)
