# SPDX-License-Identifier: Apache-2.0
"""`memir collect ecs CLUSTER TASK -o DIR`: a task of ECS from within, by ECS Exec."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from memir.cli.collect_print import finish, show_dry_run
from memir.cli.common import BucketOwnerOption, JsonOption


def ecs(
    cluster: Annotated[str, typer.Argument(metavar="CLUSTER", help="Name or ARN.")],
    task: Annotated[str, typer.Argument(metavar="TASK", help="Id or ARN.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR|s3://...", help="Evidence folder, new or empty, or S3 prefix.")
    ],
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="s3://...", help="The files go there, and -o DIR has the record of them.")
    ] = "",
    container: Annotated[str, typer.Option("--container", "-c", help="Which; by default the task's first.")] = "",
    accept_session_log: Annotated[
        bool, typer.Option("--accept-session-log", help="What is read may go into ECS Exec's session log.")
    ] = False,
    eni: Annotated[bool, typer.Option("--eni", help="Ask AWS for the task's network interface.")] = False,
    logs: Annotated[bool, typer.Option("--logs", help="The container's log in CloudWatch Logs too (awslogs).")] = False,
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
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Another endpoint of ECS, EC2 and logs.")] = None,
    region: Annotated[str | None, typer.Option("--region", help="AWS region.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="AWS profile.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print every step and trace; run nothing there.")] = False,
    json: JsonOption = False,
) -> None:
    """A task of ECS, from within a container of it by ECS Exec: memory, files, environment, logs. Needs its Python 3.

    The task must have been started with enableExecuteCommand. Which processes were refused, and why, is counted.
    Exit 0: whole. 4: partial, refused by a check, or the task did not answer. 130: interrupted, the rest kept.
    """
    from memir.collect.ecs.launch import EcsSettings, prepare
    from memir.report.progress import ProgressLine

    settings = EcsSettings(
        cluster, output, memory=memory, rootfs=rootfs, sign_key=sign_key, timestamp_url=timestamp_url, case=case,
        max_size=max_size, to=to, s3_endpoint=s3_endpoint, region=region, profile=profile, bucket_owner=bucket_owner,
        object_lock=object_lock, kms_key=kms_key, task=task, container=container, eni=eni, logs=logs,
        accept_log=accept_session_log, endpoint=endpoint,
    )  # fmt: skip
    with ProgressLine() as line:
        run = prepare(settings, lambda step: line(step.phase, step.done, step.expected), sys.argv[1:])
        if dry_run:
            show_dry_run(run, as_json=json)
        else:
            finish(run, as_json=json)
