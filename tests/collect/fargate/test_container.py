# SPDX-License-Identifier: Apache-2.0
"""The ephemeral container: beside whom, as whom, and what its state says."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from memir.collect.fargate.container import (
    began,
    ephemeral,
    mark_of,
    name_of,
    running,
    signal_script,
    state_of,
    user_of,
)
from memir.errors import NodeError, UsageError

RUNS = {"running": {"startedAt": "2026-11-29T12:00:00Z"}}


def pod(*names: str, **spec: Any) -> dict[str, Any]:
    statuses = [{"name": name, "containerID": f"containerd://{name * 2}", "state": RUNS} for name in names]
    return {
        "metadata": {"annotations": {}}, "spec": {"containers": [{"name": name} for name in names], **spec},
        "status": {"containerStatuses": statuses},
    }  # fmt: skip


def test_which_container() -> None:
    document = pod("a", "b")
    assert running(document)[0]["name"] == "a"
    assert running(document, "b")[1]["containerID"] == "containerd://bb"
    document["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] = "b"
    assert running(document)[0]["name"] == "b"
    with pytest.raises(UsageError, match="the pod has no container 'c': it has a, b"):
        running(document, "c")
    document["status"]["containerStatuses"][0]["state"] = {"terminated": {}}
    with pytest.raises(NodeError, match=r"container a does not run \(terminated\)"):
        running(document, "a")
    assert began(document) == {"bb": 1796040000.0 - 86400 + 0}


def test_as_whom() -> None:
    assert user_of(pod("a"), {}) == (None, None)
    assert user_of(pod("a", securityContext={"runAsUser": 7, "runAsGroup": 8}), {}) == (7, 8)
    assert user_of(pod("a", securityContext={"runAsUser": 7}), {"securityContext": {"runAsUser": 0}}) == (0, None)
    assert user_of(pod("a"), {}, "5:6") == (5, 6)
    with pytest.raises(UsageError, match="--user 'root': write UID or UID:GID, in numbers"):
        user_of(pod("a"), {}, "root")
    with pytest.raises(UsageError, match="must not run as root, and names no user"):
        user_of(pod("a", securityContext={"runAsNonRoot": True}), {})


def test_the_container() -> None:
    made = ephemeral("ab12", "web", "image", (7, None))
    assert (made["name"], made["targetContainerName"], made["command"][-1]) == ("memir-ab12", "web", "memir-keep-ab12")
    assert made["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsUser": 7, "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    root = ephemeral("ab12", "web", "image", (0, None))["securityContext"]
    assert root == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsUser": 0}
    assert (name_of("x"), mark_of("x")) == ("memir-x", "memir-keep-x")


def test_it_goes_on_while_it_is_told_and_ends_when_told() -> None:
    command = ephemeral("r1", "web", "image", (None, None), grace=3600)["command"]
    process = subprocess.Popen(command)
    try:
        subprocess.run(["/bin/sh", "-c", signal_script("r2", "TERM")], check=True)
        subprocess.run(["/bin/sh", "-c", signal_script("r1", "USR1")], check=True)
        assert process.poll() is None
        subprocess.run(["/bin/sh", "-c", signal_script("r1", "TERM")], check=True)
        assert process.wait(30) == 0
    finally:
        process.kill()
    at_once = ephemeral("r3", "web", "image", (None, None), grace=0)["command"]
    assert subprocess.run(at_once, check=False).returncode == 0


def test_its_state() -> None:
    document = pod("a", ephemeralContainers=[{"name": "memir-1"}])
    assert state_of(document, "memir-1") == (False, "", False)
    for state, told in (
        (RUNS, (True, "", False)),
        ({"terminated": {"reason": "StartError", "exitCode": 128, "message": "no sh"}},
         (False, "ended: StartError, exit code 128: no sh", True)),
        ({"terminated": {}}, (False, "ended", True)),
        ({"waiting": {"reason": "ImagePullBackOff"}}, (False, "ImagePullBackOff", True)),
        ({"waiting": {"reason": "PodInitializing"}}, (False, "PodInitializing", False)),
    ):
        document["status"]["ephemeralContainerStatuses"] = [{"name": "memir-1", "state": state}]
        assert state_of(document, "memir-1") == told
    assert state_of(document, "memir-2") == (False, "the pod has it not yet", False)
