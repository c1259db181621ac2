# SPDX-License-Identifier: Apache-2.0
"""A task as ECS describes it, its definition, and what of it lets or forbids an exec."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from memir.aws.client import Client
from memir.aws.errors import calling
from memir.errors import AccessError, NodeError, UsageError
from memir.evidence.collected import CollectedContainer, CollectedPod

TASK = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Document = Mapping[str, Any]


@dataclass(frozen=True)
class EcsTask:
    """What DescribeTasks, DescribeTaskDefinition and DescribeClusters said. container: name of the one to look at."""

    cluster: str
    document: Document
    container: str
    definition: Document = field(default_factory=dict)
    cluster_document: Document | None = None

    @property
    def ident(self) -> str:
        """The task's id, the last part of its ARN."""
        return str(self.document.get("taskArn", "")).rpartition("/")[2]

    @property
    def running(self) -> Document:
        """The container as DescribeTasks has it."""
        return next(entry for entry in self.document.get("containers") or () if entry.get("name") == self.container)

    @property
    def defined(self) -> Document:
        """The container as its definition has it; {} where the definition is not known."""
        containers = self.definition.get("containerDefinitions") or ()
        return next((entry for entry in containers if entry.get("name") == self.container), {})

    @property
    def ptrace(self) -> bool:
        """Whether the definition adds SYS_PTRACE to the container."""
        added = ((self.defined.get("linuxParameters") or {}).get("capabilities") or {}).get("add") or ()
        return bool({"SYS_PTRACE", "ALL"} & set(added))

    @property
    def shared(self) -> bool:
        """Whether the task's containers share a PID namespace."""
        return self.definition.get("pidMode") == "task"

    @property
    def session_log(self) -> str:
        """Where ECS Exec writes what goes through a session, as the cluster says; "" nowhere, or "unknown"."""
        if self.cluster_document is None:
            return "unknown"
        exec_of = (self.cluster_document.get("configuration") or {}).get("executeCommandConfiguration") or {}
        how = str(exec_of.get("logging") or "DEFAULT")
        if how == "NONE":
            return ""
        if how == "OVERRIDE":
            to = exec_of.get("logConfiguration") or {}
            places = [f"log group {to['cloudWatchLogGroupName']}"] if to.get("cloudWatchLogGroupName") else []
            return ", ".join([*places, *([f"s3://{to['s3BucketName']}"] if to.get("s3BucketName") else [])])
        options = (self.defined.get("logConfiguration") or {}).get("options") or {}
        if not self.defined:
            return "unknown"
        return f"log group {options['awslogs-group']}" if options.get("awslogs-group") else ""

    @property
    def address(self) -> str:
        """The task's own private address (network mode awsvpc), "" where it has none."""
        for attachment in self.document.get("attachments") or ():
            for detail in attachment.get("details") or ():
                if detail.get("name") == "privateIPv4Address":
                    return str(detail.get("value") or "")
        return ""

    def pod(self) -> CollectedPod:
        """As a collection names it: the cluster for the namespace, the task's id for name and UID."""
        containers = tuple(
            CollectedContainer(
                str(entry.get("name") or ""), "container", str(entry.get("runtimeId") or ""),
                str(entry.get("image") or ""), str(entry.get("imageDigest") or ""),
                str(entry.get("lastStatus") or "").lower(),
            )
            for entry in self.document.get("containers") or ()
        )  # fmt: skip
        node = str(self.document.get("containerInstanceArn") or self.document.get("launchType") or "")
        name = self.cluster.rpartition("/")[2]
        return CollectedPod(name, self.ident, self.ident, node, asked_api=True, containers=containers)

    def began(self) -> tuple[tuple[str, float], ...]:
        """The container's runtime id and when the task started, in seconds since 1970."""
        when = self.document.get("startedAt")
        return ((str(self.running.get("runtimeId") or ""), when.timestamp()),) if isinstance(when, datetime) else ()


def read_task(ecs: Client, cluster: str, task: str, container: str = "") -> EcsTask:
    """A running task. Raises UsageError for a name that is none, NodeError where it does not run, AccessError.

    Needs ecs:DescribeTasks; without ecs:DescribeTaskDefinition and ecs:DescribeClusters less is known.
    """
    if not TASK.fullmatch(task.rpartition("/")[2]):
        raise UsageError(f"{task!r} is no task: write its id (32 hex digits) or its ARN")
    where = f"task {task} of cluster {cluster}"
    with calling("ecs:DescribeTasks", where):
        answer = ecs.describe_tasks(cluster=cluster, tasks=[task])
    if not answer.get("tasks"):
        reasons = ", ".join(str(entry.get("reason")) for entry in answer.get("failures") or ()) or "no reason is given"
        raise NodeError(f"{where}: ECS has none ({reasons}); a stopped task is forgotten after an hour")
    document = answer["tasks"][0]
    names = [str(entry.get("name")) for entry in document.get("containers") or ()]
    essential = container or next(iter(names), "")
    if essential not in names:
        raise UsageError(f"{where} has no container {container!r}: it has {', '.join(names) or 'none'}")
    definition: Document = {}
    try:
        with calling("ecs:DescribeTaskDefinition", str(document.get("taskDefinitionArn"))):
            definition = ecs.describe_task_definition(taskDefinition=document["taskDefinitionArn"])["taskDefinition"]
    except AccessError:
        definition = {}
    cluster_document: Document | None = None
    try:
        with calling("ecs:DescribeClusters", cluster):
            listed = ecs.describe_clusters(clusters=[cluster], include=["CONFIGURATIONS"]).get("clusters") or ()
            cluster_document = next(iter(listed), None)
    except AccessError:
        cluster_document = None
    return EcsTask(cluster, document, essential, definition, cluster_document)
