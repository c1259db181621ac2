# SPDX-License-Identifier: Apache-2.0
"""Pause: the seconds that a frozen container has, and the refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.respond.steps.base import Facts, Options
from memir.respond.steps.pause import pause, seconds_to_kill
from tests.respond import shop


@pytest.mark.parametrize(
    ("probe", "seconds"),
    [
        (None, None), ({}, 30), ({"periodSeconds": 5, "failureThreshold": 2}, 10), ({"periodSeconds": -1}, 30),
        ({"periodSeconds": "5"}, 30), ("x", None),
    ],
)  # fmt: skip
def test_seconds(probe: Any, seconds: int | None) -> None:
    assert seconds_to_kill({"livenessProbe": probe}) == seconds


def test_refused_while_a_probe_kills(tmp_path: Path) -> None:
    web = next(item for item in shop.items() if item["metadata"]["name"] == shop.WEB)
    web["metadata"] |= {"name": "probed", "uid": "00000000-0000-4000-8000-000000000001"}
    web["spec"]["containers"][0]["livenessProbe"] = {"periodSeconds": 5}
    name = web["spec"]["containers"][0]["name"]
    for accept in (False, True):
        facts = Facts("memir-1", shop.cluster(tmp_path, web), Options(accept_restart=accept))
        pod = next(pod for pod in facts.cluster.snapshot.pods.values() if pod.name == "probed")
        step = pause(facts, pod)
        ids = [each.container_id for each in pod.containers if each.state == "running"]
        assert step.limits[0] == f"container {name}: killed by its liveness probe after 15 s"
        assert step.refused.startswith(f"the liveness probe of container {name} kills it after 15 s") is not accept
        assert step.command == (tuple(f"ctr -n k8s.io task pause {ident}" for ident in ids) if accept else ())
        assert f"ctr -n k8s.io task resume {ids[0]}" in step.undo
