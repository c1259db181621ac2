# SPDX-License-Identifier: Apache-2.0
"""`memir collect fargate NS/NAME -o DIR`: a pod from within, where nobody reaches its node."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memir.cli.collect_print import finish, show_dry_run
from memir.cli.common import BucketOwnerOption, JsonOption
from memir.errors import UsageError
from memir.text import say

if TYPE_CHECKING:
    from memir.collect.run import PodCollection


def fargate(
    name: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The pod.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR|s3://...", help="Evidence folder, new or empty, or S3 prefix.")
    ],
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="s3://...", help="The files go there, and -o DIR has the record of them.")
    ] = "",
    container: Annotated[str, typer.Option("--container", "-c", help="Which; by default the pod's first.")] = "",
    way: Annotated[
        str, typer.Option("--way", help="ephemeral: a container of ours beside it; exec: a shell of its own.")
    ] = "ephemeral",
    accept_ephemeral: Annotated[
        bool, typer.Option("--accept-ephemeral", help="The container cannot be taken back; asks nothing.")
    ] = False,
    image: Annotated[
        str, typer.Option("--image", help="Of the ephemeral container; needs sh, coreutils and Python 3.6.")
    ] = "public.ecr.aws/amazonlinux/amazonlinux:2023",
    user: Annotated[
        str, typer.Option("--user", metavar="UID[:GID]", help="Ephemeral: run as; by default as the container.")
    ] = "",
    eni: Annotated[bool, typer.Option("--eni", help="Ask AWS for the pod's network interface.")] = False,
    kubeconfig: Annotated[str | None, typer.Option("--kubeconfig", help="Instead of ~/.kube/config.")] = None,
    context: Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")] = None,
    memory: Annotated[bool, typer.Option("--memory/--no-memory", help="Memory of each process, as ELF cores.")] = True,
    rootfs: Annotated[bool, typer.Option("--rootfs", help="Whole root file systems too, not what was written.")] = (
        False
    ),
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
    ec2_endpoint: Annotated[str | None, typer.Option("--ec2-endpoint", help="Another EC2 endpoint.")] = None,
    region: Annotated[str | None, typer.Option("--region", help="AWS region.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="AWS profile.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print every step and trace; change nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """A pod on EKS Fargate, from within: memory of the processes that may be read without SYS_PTRACE, files, logs.

    An ephemeral container cannot be taken back: it is printed first, and asked for. Which processes were refused, and
    why, is counted. Exit 0: whole. 2: not accepted, nothing changed. 4: partial, or a side did not answer.
    """
    from memir.collect.fargate.launch import FargateSettings, prepare, where_it_runs
    from memir.report.progress import ProgressLine

    settings = FargateSettings(
        name, output, image=image, kubeconfig=kubeconfig, context=context, memory=memory, rootfs=rootfs,
        sign_key=sign_key, timestamp_url=timestamp_url, case=case, max_size=max_size, to=to, s3_endpoint=s3_endpoint,
        region=region, profile=profile, bucket_owner=bucket_owner, object_lock=object_lock, kms_key=kms_key,
        container=container, way=way, user=user, accept_ephemeral=accept_ephemeral, eni=eni, ec2_endpoint=ec2_endpoint,
    )  # fmt: skip
    with ProgressLine() as line:
        run = prepare(settings, lambda step: line(step.phase, step.done, step.expected), sys.argv[1:])
        if warning := where_it_runs(run.target):
            say(warning, err=True)
        if dry_run:
            show_dry_run(run, as_json=json)
            return
        if way == "ephemeral" and not accept_ephemeral:
            _ask(run, as_json=json)
        finish(run, as_json=json)


def _ask(run: PodCollection, *, as_json: bool) -> None:
    """Print the plan and have the container accepted on the terminal. Raises UsageError where it is not."""
    from memir.cli.acquire_print import show_plan
    from memir.collect.fargate.transport import PERMANENT, ContainerTransport

    if as_json or not (sys.stdin is not None and sys.stdin.isatty()):
        raise UsageError(f"{PERMANENT}: read --dry-run, then --accept-ephemeral (no terminal to ask on); or --way exec")
    _, checks, plan = run.preflight(look=False)
    show_plan(plan, checks)
    if typer.prompt(f"{PERMANENT}. Do it? yes or no", default="no", err=True) != "yes":
        raise UsageError("not accepted: nothing was changed")
    assert isinstance(run.transport, ContainerTransport)
    run.transport.accepted = True
