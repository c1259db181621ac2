# SPDX-License-Identifier: Apache-2.0
"""Collect: reads alone, quoted for a shell."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from memir.respond.steps.base import Facts, Options
from memir.respond.steps.collect import collect
from tests.respond import shop


def test_reads_alone(tmp_path: Path) -> None:
    facts = Facts("memir-1", shop.cluster(tmp_path), Options(evidence="my evidence"))
    pod = next(pod for pod in facts.cluster.snapshot.pods.values() if pod.name == shop.WEB)
    again = dataclasses.replace(pod.containers[0], name="c;d", restarts=1)
    step = collect(facts, dataclasses.replace(pod, containers=(again,)))
    base = "'my evidence/pods'/" + shop.WEB
    assert step.command == (
        "mkdir -p 'my evidence/pods'",
        f"kubectl -n shop get pod {shop.WEB} -o yaml > {base}.yaml",
        f"kubectl -n shop get events --field-selector involvedObject.uid={pod.uid} -o yaml > {base}.events.yaml",
        f"kubectl -n shop logs {shop.WEB} --all-containers --timestamps --prefix > {base}.log",
        f"kubectl -n shop logs {shop.WEB} -c 'c;d' --previous --timestamps > {base}.'c;d'.previous.log",
    )
    assert (step.by, step.changes) == ("hand", ())
