# SPDX-License-Identifier: Apache-2.0
"""From options to a run from within a task of ECS; what AWS has of the task, into api/."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from memir.aws.client import Client, Connection, service_client
from memir.aws.errors import calling
from memir.collect.ecs.settings import EcsSettings
from memir.collect.ecs.side import TaskSide
from memir.collect.ecs.task import EcsTask, read_task
from memir.collect.ecs.transport import EcsTransport
from memir.collect.fargate.interfaces import interfaces_of
from memir.collect.fargate.launch import as_json
from memir.collect.folder import Folder
from memir.collect.launch import folder_of, options_of, store_of
from memir.collect.run import PodCollection
from memir.collect.target import Target
from memir.errors import RemoteError
from memir.evidence.collected import CollectedGap
from memir.evidence.progress import Report

MAX_LOG = 256 << 20


def prepare(settings: EcsSettings, report: Report = lambda _: None, command: Sequence[str] = ()) -> PodCollection:
    """The run; nothing is changed. Raises UsageError, AccessError, NodeError."""
    to = Connection(settings.region, settings.endpoint, settings.profile)
    # one attempt: an ExecuteCommand whose answer was lost must not run twice
    ecs = service_client("ecs", to, attempts=1)
    task = read_task(ecs, settings.name, settings.task, settings.container)
    target = Target(task.pod(), tuple(str(entry.get("runtimeId") or "") for entry in task.document["containers"]))
    side = TaskSide(
        target=str(task.running.get("runtimeId") or ""), began=task.began(), shared=task.shared, ptrace=task.ptrace
    )
    options = options_of(settings, command)
    folder = folder_of(settings, target)
    more = partial(
        write_facts, task, ec2=service_client("ec2", to) if settings.eni else None,
        logs=partial(service_client, "logs", to) if settings.logs else None,
    )  # fmt: skip
    return PodCollection(
        EcsTransport(ecs, task, accept_log=settings.accept_log), target, folder, options, report,
        store_of(settings, folder), side=side, more=more,
    )  # fmt: skip


def write_facts(
    task: EcsTask, folder: Folder, ec2: Client | None = None, logs: Callable[[], Client] | None = None
) -> list[CollectedGap]:
    """api/task.json, task-definition.json, cluster.json, interfaces.json, logs/NAME.log; what could not be had."""
    gaps: list[CollectedGap] = []
    folder.add("api/task.json", as_json(task.document))
    for name, document in (("task-definition", task.definition), ("cluster", task.cluster_document)):
        if document:
            folder.add(f"api/{name}.json", as_json(document))
        else:
            gaps.append(CollectedGap(name, task.ident, "the caller may not describe it, or it is gone", missing=True))
    if ec2 is not None:
        gaps += _interfaces(task, folder, ec2)
    if logs is not None:
        gaps += _log(task, folder, logs())
    return gaps


def _interfaces(task: EcsTask, folder: Folder, ec2: Client) -> list[CollectedGap]:
    if not task.address:
        why = "the task has no interface of its own (network mode is not awsvpc)"
        return [CollectedGap("network interface", task.ident, why)]
    try:
        listed = interfaces_of(ec2, task.address)
    except RemoteError as error:
        return [CollectedGap("network interface", task.address, str(error)[:500], missing=True)]
    folder.add("api/interfaces.json", as_json({task.address: listed}))
    return [] if listed else [CollectedGap("network interface", task.address, "EC2 has none of it", missing=True)]


def _log(task: EcsTask, folder: Folder, logs: Client) -> list[CollectedGap]:
    """The container's stream of the driver awslogs: PREFIX/CONTAINER/TASK."""
    options = (task.defined.get("logConfiguration") or {}).get("options") or {}
    group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
    if not group or not prefix:
        return [CollectedGap("log", task.container, "its definition names no awslogs group and stream prefix")]
    stream, where = f"{prefix}/{task.container}/{task.ident}", f"log group {group}"
    file = folder.open(f"api/logs/{task.container}.log")
    token: dict[str, str] = {}
    size = 0
    try:
        while True:
            with calling("logs:GetLogEvents", where):
                page = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
            for event in page.get("events") or ():
                row = f"{event.get('timestamp')} {event.get('message')}\n".encode("utf-8", "backslashreplace")
                size += len(row)
                file.write(row)
            after = str(page.get("nextForwardToken") or "")
            if not after or after == token.get("nextToken"):
                return []
            if size > MAX_LOG:
                return [CollectedGap("log", task.container, f"only its first {size:,} bytes were taken", missing=True)]
            token = {"nextToken": after}
    except RemoteError as error:
        return [CollectedGap("log", task.container, str(error)[:500], missing=True)]
    finally:
        file.close()
