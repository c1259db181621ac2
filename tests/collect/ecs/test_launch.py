# SPDX-License-Identifier: Apache-2.0
"""A task collected from within, by ECS Exec: as an unprivileged user, and as root with SYS_PTRACE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import memir
from memir.aws.client import Connection, service_client
from memir.collect.ecs.launch import prepare, write_facts
from memir.collect.ecs.settings import EcsSettings
from memir.collect.ecs.task import read_task
from memir.collect.folder import Folder
from memir.collect.run import PodCollection
from memir.errors import NodeError, PartialError
from memir.evidence.custody import Manifest
from memir.evidence.verify import verify
from tests.collect.ecs.rig import TASK, EcsServer
from tests.collect.fargate.rig import CAPABILITIES, HEAP, HIDDEN, PASSWORD, ROOT_HEAP
from tests.collect.fargate.test_launch import heaps, names, receipt_of


def run_of(server: EcsServer, tmp_path: Path, **more: Any) -> PodCollection:
    to: dict[str, Any] = {"region": "eu-west-1", "endpoint": server.endpoint}
    return prepare(EcsSettings("shop", str(tmp_path / "ev"), task=TASK, **to, **more))


def test_as_an_unprivileged_user(ecs_server: EcsServer, tmp_path: Path) -> None:
    run = run_of(ecs_server, tmp_path, logs=True, case="CASE-13")
    with pytest.raises(PartialError, match="SYS_PTRACE"):
        run.execute()
    evidence = tmp_path / "ev"
    assert heaps(evidence) == {HEAP}
    assert names(evidence, ecs_server.pod, "changed.tar") == {"app/config", "app/made", "etc/changed"}
    assert (evidence / "node/deleted/1-fd-7").read_text() == "deleted\n"
    assert PASSWORD in (evidence / "clear/processes.jsonl").read_text()
    receipt = receipt_of(evidence)
    assert {gap["kind"] for gap in receipt["collection"]["gaps"]} >= {"kernel", "node", "whiteout"}
    assert receipt["collection"]["exit_code"] == 0
    assert receipt["collection"]["pod"]["uid"] == TASK
    assert (evidence / "api/logs/web.log").read_text() == "1 served\n"
    assert json.loads((evidence / "api/task.json").read_text())["launchType"] == "FARGATE"
    judged = verify(evidence)
    assert (judged.problems, judged.status, judged.whose["pod"]) == ([], "partial", f"shop/{TASK}")
    with memir.open(str(evidence)) as node:
        rows = {row["pid"]: row for row in node["processes"].to_arrow().to_pylist()}
        assert rows[1]["uid"] == 1000


@pytest.mark.long
def test_as_root_with_the_capability(ecs_server: EcsServer, tmp_path: Path) -> None:
    ecs_server.user = 0
    ecs_server.limits = ("setpriv", "--bounding-set", CAPABILITIES + ",+sys_ptrace", "--no-new-privs")
    ecs_server.definition["containerDefinitions"][0]["linuxParameters"] = {"capabilities": {"add": ["SYS_PTRACE"]}}
    receipt = run_of(ecs_server, tmp_path).execute()
    assert heaps(tmp_path / "ev") == {HEAP, ROOT_HEAP, HIDDEN}
    assert receipt["status"] == "complete"


def test_nothing_runs_where_a_check_fails(ecs_server: EcsServer, tmp_path: Path) -> None:
    ecs_server.task["enableExecuteCommand"] = False
    with pytest.raises(NodeError, match="nothing was changed, enableExecuteCommand: the task has not"):
        run_of(ecs_server, tmp_path).execute()
    assert ecs_server.sessions == {}
    assert not (tmp_path / "ev").exists()


def test_facts(ecs_server: EcsServer, tmp_path: Path) -> None:
    from botocore.stub import Stubber

    ecs_server.deny.add("DescribeClusters")
    task = read_task(service_client("ecs", Connection("eu-west-1", ecs_server.endpoint)), "shop", TASK)
    folder = Folder(tmp_path, Manifest(tmp_path))
    ec2 = service_client("ec2", Connection("eu-west-1", "http://127.0.0.1:9"))
    asked = {"Filters": [{"Name": "addresses.private-ip-address", "Values": ["10.0.0.9"]}]}
    with Stubber(ec2) as stub:
        answer = {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}]}
        stub.add_response("describe_network_interfaces", answer, asked)
        (gap,) = write_facts(task, folder, ec2)
    assert (gap.kind, gap.missing) == ("cluster", True)
    document = json.loads((tmp_path / "api/interfaces.json").read_text())
    assert document == {"10.0.0.9": [{"NetworkInterfaceId": "eni-1"}]}
