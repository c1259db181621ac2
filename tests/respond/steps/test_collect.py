# SPDX-License-Identifier: Apache-2.0
"""Collect: the command as it is typed, its rights; by hand where nobody reaches the node."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import pytest

from memir.cli.main import invoke
from memir.errors import MemirError
from memir.kube.apiobjects import ApiPod
from memir.respond.plan import Step
from memir.respond.steps.base import Facts, Options
from memir.respond.steps.collect import collect
from tests.respond import shop


def step_of(
    tmp_path: Path, pod_changes: dict[str, object] | None = None, *extra: dict[str, Any], **options: str
) -> tuple[ApiPod, Step]:
    facts = Facts("memir-1", shop.cluster(tmp_path, *extra), Options(**options))  # type: ignore[arg-type]
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


def node_of(provider: str = "aws:///eu-west-1a/i-0123456789abcdef0", **labels: str) -> dict[str, Any]:
    """The shop's node, as an instance."""
    node = next(item for item in shop.items() if item["kind"] == "Node")
    node["spec"]["providerID"] = provider
    node["metadata"]["labels"] = {**node["metadata"].get("labels", {}), **labels}
    return node


def test_over_ssm_into_s3(tmp_path: Path) -> None:
    pod, step = step_of(tmp_path, None, node_of(), evidence="s3://evidence/case-7/", transport="ssm")
    folder = f"memir-1-shop_{shop.WEB}"
    assert step.command[4:] == (
        "-o", folder, "--to", "s3://evidence/case-7/pods", "--transport", "ssm", "--instance-id", "i-0123456789abcdef0",
        "--case", "memir-1",
    )  # fmt: skip
    words = [right.words() for right in step.permissions]
    assert "ssm:SendCommand on i-0123456789abcdef0" in words
    for right in ("PutObject", "GetObject", "DeleteObject"):
        assert f"s3:{right} on s3://evidence/case-7/pods/*" in words
    assert "create pods in default" not in words
    assert "passes through the bucket" in step.limits[1]
    assert "ssm:SendCommand in CloudTrail" in step.triggers
    assert "node's disk beyond what the receipt lists" in step.undo
    # typed against a cluster that is not there: its options are read, and the API server is what fails
    with pytest.raises(MemirError, match="the kubeconfig cannot be used"):
        invoke([*step.command[1:], "--kubeconfig", str(tmp_path / "none")])
    assert pod.node


@pytest.mark.parametrize(
    ("node", "evidence", "why"),
    [
        (node_of(), "evidence", "--evidence names none: the way is a privileged pod"),
        (node_of("kind://x"), "s3://evidence/case-7", "is no EC2 instance"),
        (node_of(**{"eks.amazonaws.com/compute-type": "auto"}), "s3://evidence/case-7", "EKS Auto Mode"),
    ],
)
def test_where_ssm_is_no_way_a_pod_is(tmp_path: Path, node: dict[str, Any], evidence: str, why: str) -> None:
    _, step = step_of(tmp_path, None, node, evidence=evidence, transport="ssm")
    assert "--transport" not in step.command
    assert "create pods in default" in [right.words() for right in step.permissions]
    assert why in step.limits[1]


def test_by_ssh(tmp_path: Path) -> None:
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
