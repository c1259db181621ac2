# SPDX-License-Identifier: Apache-2.0
"""The pod by what it may do, and why one does not start."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.transports.pod.spec import (
    LEAST_DEADLINE,
    PodOptions,
    deadline_of,
    ended,
    label,
    manifest,
    phase,
    secret,
    secret_name,
    selector,
    trouble,
)


def test_a_pod_that_reaches_ram_and_nothing_else() -> None:
    pod = manifest("node-1", "r1", PodOptions(grace=77, deadline=600))
    spec = pod["spec"]
    assert pod["metadata"]["generateName"] == "memir-r1-"
    assert pod["metadata"]["labels"] == {
        "app.kubernetes.io/name": "memir-acquire", "memir/run": "r1", "memir/node": "node-1",
    }  # fmt: skip
    assert (spec["nodeName"], spec["activeDeadlineSeconds"], spec["hostPID"], spec["hostNetwork"]) == (
        "node-1", 600, False, False,
    )  # fmt: skip
    assert (spec["automountServiceAccountToken"], spec["restartPolicy"]) == (False, "Never")
    assert spec["volumes"] == [{"name": "memory", "emptyDir": {"medium": "Memory"}}]
    (container,) = spec["containers"]
    assert container["securityContext"] == {"privileged": True, "runAsUser": 0, "readOnlyRootFilesystem": True}
    assert container["command"][:2] == ["/bin/sh", "-c"]
    assert container["command"][2].startswith("GRACE=77\n")
    assert "hostPath" not in str(pod)


def test_the_helper_comes_in_a_secret_that_the_pod_owns() -> None:
    options = PodOptions(helper=Path("helper"), grace=9, service_account="ir", pull_secret="registry")
    pod = manifest("node-1", "r1", options)
    spec = pod["spec"]
    assert options.command == spec["containers"][0]["command"] == ["/memir/helper", "keep", "9"]
    assert spec["volumes"][1] == {"name": "helper", "secret": {"secretName": "memir-helper-r1", "defaultMode": 0o555}}
    assert spec["containers"][0]["volumeMounts"][1] == {"name": "helper", "mountPath": "/memir", "readOnly": True}
    assert (spec["serviceAccountName"], spec["imagePullSecrets"]) == ("ir", [{"name": "registry"}])
    made = secret("r1", {"metadata": {"name": "memir-r1-x", "uid": "u-1"}}, b"\x7fELF")
    assert made["metadata"]["name"] == secret_name("r1") == "memir-helper-r1"
    assert made["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "memir-r1-x", "uid": "u-1"}
    ]
    assert (base64.b64decode(made["data"]["helper"]), made["immutable"]) == (b"\x7fELF", True)


def test_labels_of_long_names() -> None:
    assert label("n" * 62 + "-.x") == "n" * 62
    assert selector("ip-10-0-0-7.internal") == "app.kubernetes.io/name=memir-acquire,memir/node=ip-10-0-0-7.internal"


def waiting(reason: str) -> dict[str, Any]:
    return {"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "words"}}}]}


def terminated(code: int, reason: str, message: str | None = None) -> dict[str, Any]:
    end = {"exitCode": code, "reason": reason} | ({} if message is None else {"message": message})
    return {"phase": "Failed", "containerStatuses": [{"state": {"terminated": end}}]}


@pytest.mark.parametrize(
    ("status", "why", "hopeless"),
    [
        ({}, "", False),
        (waiting("ContainerCreating"), "", False),
        (waiting("ErrImagePull"), "ErrImagePull: words", False),
        (waiting("ImagePullBackOff"), "ImagePullBackOff: words", True),
        (waiting("InvalidImageName"), "InvalidImageName: words", True),
        (
            {"conditions": [{"status": "False", "reason": "Unschedulable", "message": "no room"}]},
            "no room", False,
        ),
        ({"phase": "Failed", "reason": "OutOfmemory", "message": "full"}, "Failed: OutOfmemory full", True),
        ({"phase": "Failed"}, "Failed: no reason is given", True),
        (terminated(128, "StartError", "sh: not found"), "Failed: StartError, exit code 128: sh: not found", True),
        (terminated(1, "Error"), "Failed: Error, exit code 1", True),
    ],
)  # fmt: skip
def test_why_it_does_not_run(status: dict[str, Any], why: str, hopeless: bool) -> None:
    assert trouble({"status": status}) == (why, hopeless)


def test_phases() -> None:
    states = {name: ended({"status": {"phase": name}}) for name in ("Pending", "Running", "Succeeded", "Failed")}
    assert states == {"Pending": False, "Running": False, "Succeeded": True, "Failed": True}
    assert (phase({}), phase({"status": {"phase": "Running"}})) == ("", "Running")


def test_the_deadline_follows_from_ram_and_rate() -> None:
    assert deadline_of(0, 0) == deadline_of(64 << 30, 0) == LEAST_DEADLINE
    # 1.5 TiB at 10 MiB/s take 43.7 h
    assert deadline_of(3 << 39, 0) == 2 * (3 << 39) // (10 << 20) == 314_572
    assert deadline_of(64 << 30, 1 << 20) == 2 * 65_536
    assert deadline_of(64 << 30, 1 << 30) == LEAST_DEADLINE
    assert manifest("node-1", "r1", PodOptions())["spec"]["activeDeadlineSeconds"] == LEAST_DEADLINE
