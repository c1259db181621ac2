# SPDX-License-Identifier: Apache-2.0
"""Acquire: the way that works on each kind of node, as a command that can be typed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.transports.pod.check import RIGHTS
from memir.respond.match import node_target
from memir.respond.plan import Step
from memir.respond.steps.acquire import TO_S3, acquire, rights_of, triggers_of
from memir.respond.steps.base import Facts, Options
from tests.images import ROOT
from tests.respond import shop

SSM = "memir acquire ssm --instance-id i-0ab -o memir-1-n --to s3://b/p/n --case memir-1"


def step(path: Path, labels: dict[str, str], provider: str = "aws:///eu-west-1a/i-0ab", **options: Any) -> Step:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": labels}}
    facts = Facts("memir-1", shop.cluster(path, node | {"spec": {"providerID": provider}}), Options(**options))
    return acquire(facts, node_target(facts.cluster, "n"), 16 << 30)


@pytest.mark.parametrize(
    ("labels", "options", "command"),
    [
        ({}, {"evidence": "s3://b/p/"}, SSM),
        ({"eks.amazonaws.com/compute-type": "auto"}, {}, "memir acquire pod --node n -o evidence/n --case memir-1"),
        ({}, {"transport": "ssh"}, "memir acquire ssh n -o evidence/n --case memir-1"),
    ],
)
def test_the_way(tmp_path: Path, labels: dict[str, str], options: dict[str, Any], command: str) -> None:
    made = step(tmp_path, labels, **options)
    assert " ".join(made.command) == made.changes[0].calls[0] == command
    assert (made.by, made.unresolved, made.seconds) == ("command", (), (32, 320))


def test_ssm_needs_a_bucket(tmp_path: Path) -> None:
    made = step(tmp_path, {})
    assert made.unresolved == (TO_S3,) and "plan anew with --evidence s3://BUCKET/PREFIX, or with --by pod" in TO_S3
    assert not any("s3://" in limit for limit in made.limits)  # said once


def test_fargate(tmp_path: Path) -> None:
    made = step(tmp_path, {"eks.amazonaws.com/compute-type": "fargate"})
    assert made.refused.startswith("EKS Fargate gives no access") and made.changes == ()
    assert step(tmp_path, {}, provider="kind://x").command[2] == "pod"


def test_rights_of(tmp_path: Path) -> None:
    """Every action that the transport and the sink name in the code is a right of the step; one a run can lack."""
    ssm = {right.words() for right in step(tmp_path, {}, evidence="s3://b/p").permissions}
    assert {"ssm:SendCommand on i-0ab", "s3:PutObject on s3://b/p/n/*", "s3:ListBucket on s3://b"} <= ssm
    folder = ROOT / "memir" / "acquire"
    code = [path.read_text() for part in ("transports/ssm", "sinks/s3") for path in (folder / part).glob("*.py")]
    called = {name for text in code for name in re.findall(r'(?:calling|_call)\(\s*"((?:ssm|s3):\w+)"', text)}
    assert len(called) > 8
    assert called - {words.partition(" ")[0] for words in ssm} == {"s3:GetBucketObjectLockConfiguration"}
    pod = [right.words() for right in rights_of("pod", "", "")]
    assert pod[0] == "get nodes" and {"create pods in default", "create pods/exec in default"} < set(pod)
    assert len(pod) == len(RIGHTS) + 1
    assert rights_of("ssh", "", "") == ()


def test_triggers_of() -> None:
    assert "PrivilegedContainer" in triggers_of("pod")[0]
    assert triggers_of("ssm")[0] == "ssm:SendCommand in CloudTrail"
    assert triggers_of("ssh") == ("a login in the node's journal",)
