# SPDX-License-Identifier: Apache-2.0
"""Collect from within: the command, its rights, and that it cannot be taken back."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from memir.cli.main import invoke
from memir.errors import MemirError
from memir.respond.steps.base import Facts, Options
from memir.respond.steps.collect_fargate import collect_fargate
from tests.respond import shop


def test_the_step(tmp_path: Path) -> None:
    facts = Facts("memir-1", shop.cluster(tmp_path), Options(evidence="s3://evidence/case-7/"))
    pod = next(pod for pod in facts.cluster.snapshot.pods.values() if pod.name == shop.WEB)
    step = collect_fargate(facts, pod)
    folder = f"memir-1-shop_{shop.WEB}"
    assert step.command == (
        "memir", "collect", "fargate", f"shop/{shop.WEB}", "-o", folder, "--to", "s3://evidence/case-7/pods",
        "--accept-ephemeral", "--case", "memir-1",
    )  # fmt: skip
    (change,) = step.changes
    assert tuple(shlex.split(change.calls[0])) == step.command
    assert change.needs == {"folder": folder, "refused": "accepted"}
    assert "cannot be removed" in change.irreversible
    assert step.undo.startswith("Cannot be undone: an ephemeral container stays")
    words = [right.words() for right in step.permissions]
    assert "patch pods/ephemeralcontainers in shop" in words
    assert words[-1] == "s3:PutObject on s3://evidence/case-7/pods/*"
    with pytest.raises(MemirError, match="the kubeconfig cannot be used"):
        invoke([*step.command[1:], "--kubeconfig", str(tmp_path / "none")])
