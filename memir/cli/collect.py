# SPDX-License-Identifier: Apache-2.0
"""`memir collect pod NS/NAME -o DIR`: everything of one pod, from the API server and from its node's side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from memir.cli.collect_ecs import ecs
from memir.cli.collect_fargate import fargate
from memir.cli.collect_print import finish, show_dry_run
from memir.cli.common import BucketOwnerOption, JsonOption, print_json
from memir.cli.group import Group
from memir.text import say

app = typer.Typer(
    cls=Group,
    help="Collect a pod whole, from its node's side; or from within, where nobody reaches the node.",
    no_args_is_help=True, rich_markup_mode=None,
)  # fmt: skip


def register(parent: typer.Typer) -> None:
    """Add `memir collect` to the command line."""
    parent.add_typer(app, name="collect")


@app.callback()
def _root() -> None:
    """Collect a pod whole, from its node's side; or from within, where nobody reaches the node."""


@app.command("pod")
def pod(
    name: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The pod.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR|s3://...", help="Evidence folder, new or empty, or S3 prefix.")
    ],
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="s3://...", help="The files go there, and -o DIR has the record of them.")
    ] = "",
    transport: Annotated[
        str, typer.Option("--transport", help="Way to the node: pod (a privileged one), ssh, ssm or local.")
    ] = "pod",
    host: Annotated[str | None, typer.Option("--host", metavar="USER@HOST", help="The pod's node, over ssh.")] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", min=1, max=65535, help="Of ssh, instead of 22.")] = None,
    identity: Annotated[Path | None, typer.Option("--identity", "-i", help="Key of ssh.")] = None,
    known_hosts: Annotated[Path | None, typer.Option("--known-hosts", help="Instead of ~/.ssh/known_hosts.")] = None,
    ssh_config: Annotated[Path | None, typer.Option("--ssh-config", "-F", help="Instead of ~/.ssh/config.")] = None,
    jump: Annotated[str | None, typer.Option("--jump", "-J", help="[user@]host[:port],... to go through.")] = None,
    sudo: Annotated[bool, typer.Option("--sudo", help="Local: run the steps with sudo.")] = False,
    root: Annotated[Path | None, typer.Option("--root", help="Local: where the node's root is mounted.")] = None,
    node: Annotated[str | None, typer.Option("--node", help="Pod: another node than the API server says.")] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Pod: where the privileged pod is made.")] = (
        "default"
    ),
    image: Annotated[str, typer.Option("--image", help="Pod: image of the privileged pod; needs sh and coreutils.")] = (
        "public.ecr.aws/amazonlinux/amazonlinux:2023"
    ),
    instance_id: Annotated[
        str, typer.Option("--instance-id", help="Ssm: instead of the node's of the API server.")
    ] = "",
    spool: Annotated[
        str, typer.Option("--spool", metavar="s3://...", help="Ssm: the stream passes there, if not below --to.")
    ] = "",
    ssm_endpoint: Annotated[str | None, typer.Option("--ssm-endpoint", help="Another SSM endpoint.")] = None,
    uid: Annotated[str, typer.Option("--uid", help="The pod's UID: the API server is not asked.")] = "",
    kubeconfig: Annotated[str | None, typer.Option("--kubeconfig", help="Instead of ~/.kube/config.")] = None,
    context: Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")] = None,
    memory: Annotated[bool, typer.Option("--memory/--no-memory", help="Memory of each process, as ELF cores.")] = True,
    rootfs: Annotated[bool, typer.Option("--rootfs", help="Whole root file systems too, not what was written.")] = (
        False
    ),
    checkpoint: Annotated[
        bool, typer.Option("--checkpoint", help="The kubelet's checkpoint of each container too; needs CRIU there.")
    ] = False,
    sign_key: Annotated[Path | None, typer.Option("--sign-key", help="Ed25519 private key to sign with.")] = None,
    timestamp_url: Annotated[
        str, typer.Option("--timestamp-url", help="RFC 3161 time stamp authority that dates the end.")
    ] = "",
    case: Annotated[str, typer.Option("--case", help="Case or ticket, written into the manifest.")] = "",
    max_size: Annotated[str, typer.Option("--max-size", help="Bytes of all files at most, as 20G.")] = "",
    object_lock: Annotated[str, typer.Option("--object-lock", help="GOVERNANCE:DAYS or COMPLIANCE:DAYS.")] = "",
    kms_key: Annotated[str, typer.Option("--kms-key", help="KMS key that encrypts what is stored in S3.")] = "",
    bucket_owner: BucketOwnerOption = None,
    s3_endpoint: Annotated[str | None, typer.Option("--s3-endpoint", help="Another S3 endpoint.")] = None,
    region: Annotated[str | None, typer.Option("--region", help="AWS region.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="AWS profile.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print every step and trace; collect nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Everything of a pod's containers: the API's view, logs, processes, sockets, memory, writable layers.

    Read from the node's side, never by exec into a container; nothing is written on the node. `memir verify DIR` judges
    it again. Exit 0: whole. 4: partial, or the node or the API server did not answer. 130: interrupted, the rest kept.
    """
    from memir.collect.launch import Settings, prepare
    from memir.report.progress import ProgressLine

    settings = Settings(
        name, output, transport, uid, host, port, identity, known_hosts, ssh_config, jump, sudo, root, node, namespace,
        image, kubeconfig, context, memory, rootfs, sign_key, timestamp_url, case, max_size, to, s3_endpoint, region,
        profile, bucket_owner, object_lock, kms_key, checkpoint, instance_id, spool, ssm_endpoint,
    )  # fmt: skip
    with ProgressLine() as line:
        run = prepare(settings, lambda step: line(step.phase, step.done, step.expected), sys.argv[1:])
        if dry_run:
            show_dry_run(run, as_json=json)
        else:
            finish(run, as_json=json)


@app.command()
def close(
    evidence: Annotated[Path, typer.Argument(help="Evidence folder of a collection whose controller was killed.")],
    *,
    sign_key: Annotated[Path | None, typer.Option("--sign-key", help="The key that the run began with.")] = None,
    json: JsonOption = False,
) -> None:
    """Close a collection that was killed: record and sign what arrived, so that it can be verified and analyzed."""
    from memir.collect.close import close_collection

    receipt = close_collection(evidence, sign_key)
    if json:
        print_json(dict(receipt.document()))
        return
    there = f"{receipt.collection.received:,} files from the node, {receipt.collection.bytes:,} bytes in all"
    say(f"{evidence}: closed as {receipt.status}: {there}")
    for missing in receipt.missing:
        say(f"missing: {missing}")


app.command("fargate")(fargate)
app.command("ecs")(ecs)
