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
        (None, None), ({}, (21, 31)), ({"periodSeconds": 5, "failureThreshold": 2, "timeoutSeconds": 3}, (8, 13)),
        ({"periodSeconds": -1}, (21, 31)), ({"periodSeconds": "5"}, (21, 31)), ("x", None),
        ({"failureThreshold": 1, "timeoutSeconds": 20}, (20, 30)),
        ({"periodSeconds": 2, "timeoutSeconds": 9}, (27, 29)),
        ({"tcpSocket": {"port": 80}}, None), ({"httpGet": {"port": 80}}, (21, 31)),
    ],
)  # fmt: skip
def test_seconds(probe: Any, seconds: tuple[int, int] | None) -> None:
    assert seconds_to_kill({"livenessProbe": probe}) == seconds


def test_refused_while_a_probe_kills(tmp_path: Path) -> None:
    web = next(item for item in shop.items() if item["metadata"]["name"] == shop.WEB)
    web["metadata"] |= {"name": "probed", "uid": "00000000-0000-4000-8000-000000000001"}
    web["spec"]["containers"][0]["livenessProbe"] = {"periodSeconds": 5}
    web["spec"]["terminationGracePeriodSeconds"] = 45
    name = web["spec"]["containers"][0]["name"]
    for accept in (False, True):
        facts = Facts("memir-1", shop.cluster(tmp_path, web), Options(accept_restart=accept))
        pod = next(pod for pod in facts.cluster.snapshot.pods.values() if pod.name == "probed")
        step = pause(facts, pod)
        ids = [each.container_id for each in pod.containers if each.state == "running"]
        assert step.limits[0].startswith(f"CONTAINER {name} IS KILLED by its liveness probe 11 to 16 s after the pause")
        assert "with up to 45 s of grace" in step.limits[0]
        assert step.refused.startswith(f"the liveness probe of container {name} kills it 11 to 16 s") is not accept
        assert step.seconds == (1, 11)
        assert step.command == (tuple(f"ctr -n k8s.io task pause {ident}" for ident in ids) if accept else ())
        assert f"ctr -n k8s.io task resume {ids[0]}" in step.undo


def test_a_tcp_probe_kills_nothing(tmp_path: Path) -> None:
    web = next(item for item in shop.items() if item["metadata"]["name"] == shop.WEB)
    web["metadata"] |= {"name": "tcp", "uid": "00000000-0000-4000-8000-000000000002"}
    web["spec"]["containers"][0]["livenessProbe"] = {"tcpSocket": {"port": 80}}
    facts = Facts("memir-1", shop.cluster(tmp_path, web))
    step = pause(facts, next(pod for pod in facts.cluster.snapshot.pods.values() if pod.name == "tcp"))
    assert (step.refused, step.limits[0][:11]) == ("", "a TCP probe")
