# SPDX-License-Identifier: Apache-2.0
"""A task as ECS describes it."""

from __future__ import annotations

from typing import Any

import pytest

from memir.aws.client import Connection, service_client
from memir.collect.ecs.task import EcsTask, read_task
from memir.errors import NodeError, UsageError
from tests.collect.ecs.rig import ARN, TASK, EcsServer


def read(server: EcsServer, *words: str) -> EcsTask:
    ecs = service_client("ecs", Connection("eu-west-1", server.endpoint), attempts=1)
    return read_task(ecs, *(words or ("shop", f"{ARN}:task/shop/{TASK}")))


def test_what_is_known(ecs_server: EcsServer) -> None:
    task = read(ecs_server)
    assert (task.ident, task.container, task.address) == (TASK, "web", "10.0.0.9")
    assert (task.ptrace, task.shared, task.session_log) == (False, False, "")
    pod = task.pod()
    assert (pod.namespace, pod.name, pod.uid, pod.node) == ("shop", TASK, TASK, "FARGATE")
    assert [(one.name, one.container_id, one.state) for one in pod.containers] == [
        ("web", ecs_server.pod.container, "running")
    ]
    assert dict(task.began())[ecs_server.pod.container] == pytest.approx(ecs_server.task["startedAt"], abs=1)


def test_what_may_be_read_and_where_it_is_logged(ecs_server: EcsServer) -> None:
    web: dict[str, Any] = ecs_server.definition["containerDefinitions"][0]
    web["linuxParameters"] = {"capabilities": {"add": ["SYS_PTRACE"]}}
    ecs_server.definition["pidMode"] = "task"
    how = ecs_server.cluster["configuration"]["executeCommandConfiguration"]
    how |= {"logging": "OVERRIDE", "logConfiguration": {"cloudWatchLogGroupName": "/exec", "s3BucketName": "kept"}}
    task = read(ecs_server)
    assert (task.ptrace, task.shared, task.session_log) == (True, True, "log group /exec, s3://kept")
    del ecs_server.cluster["configuration"]
    assert read(ecs_server).session_log == "log group /ecs/shop"
    ecs_server.deny |= {"DescribeTaskDefinition"}
    assert (read(ecs_server).session_log, read(ecs_server).ptrace) == ("unknown", False)
    ecs_server.deny = {"DescribeClusters"}
    assert read(ecs_server).session_log == "unknown"


def test_what_is_refused(ecs_server: EcsServer) -> None:
    with pytest.raises(UsageError, match="'web-1' is no task"):
        read(ecs_server, "shop", "web-1")
    with pytest.raises(NodeError, match=r"ECS has none \(MISSING\); a stopped task is forgotten after an hour"):
        read(ecs_server, "shop", "f" * 32)
    with pytest.raises(UsageError, match="has no container 'db': it has web"):
        read(ecs_server, "shop", TASK, "db")
