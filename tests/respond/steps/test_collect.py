# SPDX-License-Identifier: Apache-2.0
"""Collect: the command as it is typed, its rights; by hand where nobody reaches the node."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest

from memir.cli.main import invoke
from memir.errors import MemirError
from memir.kube.apiobjects import ApiPod
from memir.respond.plan import Step
from memir.respond.steps.base import Facts, Options
from memir.respond.steps.collect import collect
from tests.respond import shop


def step_of(tmp_path: Path, pod_changes: dict[str, object] | None = None, **options: str) -> tuple[ApiPod, Step]:
    facts = Facts("memir-1", shop.cluster(tmp_path), Options(**options))  # type: ignore[arg-type]
    pod = next(pod for pod in facts.cluster.snapshot.pods.values() if pod.name == shop.WEB)
    pod = dataclasses.replace(pod, **(pod_changes or {}))  # type: ignore[arg-type]
    return pod, collect(facts, pod)


def test_a_run_of_memir_s_own(tmp_path: Path) -> None:
    pod, step = step_of(tmp_path, evidence="my evidence")
    folder = f"my evidence/pods/shop_{shop.WEB}"
    assert step.command == ("memir", "collect", "pod", f"shop/{shop.WEB}", "-o", folder, "--case", "memir-1")
    (change,) = step.changes
    assert (step.by, change.kind, change.uid, change.needs) == ("command", "collect", pod.uid, {"folder": folder})
    assert change.target == f"/api/v1/namespaces/shop/pods/{shop.WEB}"
    assert tuple(shlex.split(change.calls[0])) == step.command
    assert [right.words() for right in step.permissions] == [
        "get pods in shop", "get pods/log in shop", "list events in shop", "get nodes", "list pods in default",
        "create pods in default", "get pods in default", "delete pods in default", "get pods/exec in default",
        "create pods/exec in default",
    ]  # fmt: skip
    assert "PrivilegedContainer" in step.triggers[0]


def test_into_s3_and_by_ssh(tmp_path: Path) -> None:
    _, step = step_of(tmp_path, evidence="s3://evidence/case-7/", transport="ssm")
    folder = f"memir-1-shop_{shop.WEB}"
    assert step.command[4:] == ("-o", folder, "--to", "s3://evidence/case-7/pods", "--case", "memir-1")
    assert step.permissions[-1].words() == "s3:PutObject on s3://evidence/case-7/pods/*"
    assert "Run Command carries no stream" in step.limits[1]
    pod, step = step_of(tmp_path, transport="ssh")
    assert step.command[6:10] == ("--transport", "ssh", "--host", pod.node)
    assert [right.words() for right in step.permissions][-1] == "get nodes"


def test_the_command_is_one_that_memir_takes(tmp_path: Path) -> None:
    """Typed against a cluster that is not there: its options are read, and the API server is what fails."""
    _, step = step_of(tmp_path, evidence=str(tmp_path / "ev"))
    with pytest.raises(MemirError, match="the kubeconfig cannot be used"):
        invoke([*step.command[1:], "--kubeconfig", str(tmp_path / "none")])


def test_by_hand_where_nothing_runs(tmp_path: Path) -> None:
    pod, step = step_of(tmp_path, {"node": None}, evidence="my evidence")
    again = dataclasses.replace(pod.containers[0], name="c;d", restarts=1)
    pod, step = step_of(tmp_path, {"node": None, "containers": (again,)}, evidence="my evidence")
    base = "'my evidence/pods'/" + shop.WEB
    assert step.command == (
        "mkdir -p 'my evidence/pods'",
        f"kubectl -n shop get pod {shop.WEB} -o yaml > {base}.yaml",
        f"kubectl -n shop get events --field-selector involvedObject.uid={pod.uid} -o yaml > {base}.events.yaml",
        f"kubectl -n shop logs {shop.WEB} --all-containers --timestamps --prefix > {base}.log",
        f"kubectl -n shop logs {shop.WEB} -c 'c;d' --previous --timestamps > {base}.'c;d'.previous.log",
    )
    assert (step.by, step.changes, "it is on no node" in step.why) == ("hand", (), True)


def test_on_fargate_from_within(tmp_path: Path) -> None:
    _, step = step_of(tmp_path, {"labels": {"eks.amazonaws.com/fargate-profile": "p"}})
    assert step.command[:4] == ("memir", "collect", "fargate", f"shop/{shop.WEB}")
    _, step = step_of(tmp_path, {"node": "fargate-ip-10-0-0-9.eu-west-1.compute.internal"})
    assert step.command[2] == "fargate"
