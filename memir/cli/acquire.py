# SPDX-License-Identifier: Apache-2.0
"""`memir acquire`: take a live node's RAM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memir.cli import acquire_cloud
from memir.cli import acquire_options as o
from memir.cli.acquire_run import go

if TYPE_CHECKING:
    from memir.acquire.transports.base import Transport

app = typer.Typer(
    help="Take a live node's RAM: nothing on its disk, custody proved.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
GRACE = 300


def register(parent: typer.Typer) -> None:
    """Add `memir acquire` to the command line."""
    parent.add_typer(app, name="acquire")


acquire_cloud.register(app)


@app.command()
def ssh(
    hosts: Annotated[list[str], typer.Argument(metavar="HOST...", help="user@host, host, or a name of ~/.ssh/config.")],
    *,
    port: Annotated[int | None, typer.Option("--port", "-p", min=1, max=65535)] = None,
    user: Annotated[str | None, typer.Option("--user", "-l", help="root, or one with sudo without a password.")] = None,
    identity: Annotated[Path | None, typer.Option("--identity", "-i", help="Private key file.")] = None,
    known_hosts: Annotated[Path | None, typer.Option("--known-hosts", help="Instead of ~/.ssh/known_hosts.")] = None,
    ssh_config: Annotated[Path | None, typer.Option("--ssh-config", "-F", help="Instead of ~/.ssh/config.")] = None,
    jump: Annotated[str | None, typer.Option("--jump", "-J", help="[user@]host[:port],... to go through.")] = None,
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
    via: o.Via = "node",
    object_lock: o.Lock = "",
    resume: o.Resume = None,
    s3_endpoint: o.Endpoint = None,
    region: o.Region = None,
    profile: o.Profile = None,
    as_json: o.Json = False,
) -> None:
    """Over SSH: configuration, jump hosts and agent as ssh uses them; unknown host keys are refused."""
    options = o.options_of(
        tool, tool_path, form, nice=nice, rate=limit_rate, grace=grace or GRACE, node_hash=not no_node_hash,
        context=not no_context, sign_key=sign_key, case=case, isolating=isolating,
    )  # fmt: skip
    common = o.Common(
        output,
        to,
        options,
        dry_run,
        as_json,
        via,
        cluster,
        parallel,
        s3_endpoint,
        region,
        profile,
        object_lock,
        resume,
    )

    def connect(name: str) -> Transport:
        from memir.acquire.transports.ssh.target import SshTarget
        from memir.acquire.transports.ssh.transport import SshTransport

        account, _, host = name.rpartition("@")
        target = SshTarget(
            host, port=port, user=user or account or None, identity=identity, known_hosts=known_hosts,
            config=ssh_config, jump=jump,
        )  # fmt: skip
        return SshTransport(target)

    go(common, hosts, connect)


@app.command()
def local(
    *,
    root: Annotated[
        Path | None, typer.Option("--root", help="The node's root, where it is mounted (as /host).")
    ] = None,
    sudo: Annotated[bool, typer.Option("--sudo", help="Run the steps with sudo.")] = False,
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
    node_hash: o.LocalHash = False,
    no_context: o.NoContext = False,
    cluster: o.Cluster = False,
    isolating: o.Isolating = False,
    via: o.Via = "node",
    object_lock: o.Lock = "",
    resume: o.Resume = None,
    s3_endpoint: o.Endpoint = None,
    region: o.Region = None,
    profile: o.Profile = None,
    as_json: o.Json = False,
) -> None:
    """This machine, or the node whose root file system is mounted here (kubectl debug node/NAME.

    --root /host).
    """
    options = o.options_of(
        tool, tool_path, form, nice=nice, rate=limit_rate, grace=grace or GRACE, node_hash=node_hash,
        context=not no_context, sign_key=sign_key, case=case, isolating=isolating,
    )  # fmt: skip
    common = o.Common(
        output,
        to,
        options,
        dry_run,
        as_json,
        via,
        cluster,
        1,
        s3_endpoint,
        region,
        profile,
        object_lock,
        resume,
    )

    def connect(_: str) -> Transport:
        from memir.acquire.transports.local import LocalTransport

        return LocalTransport(root, sudo)

    import platform

    go(common, [platform.node() or "local"], connect)
