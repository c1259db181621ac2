# SPDX-License-Identifier: Apache-2.0
"""Pod statuses as the kubelet's memory holds them: whole, cut, old and new, and such as a stranger would plant."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from memir.kube.kubelet import (
    ContainerStatus,
    container_statuses,
    kubelet_of,
    kubelet_options,
    latest,
    pod_phases,
    statuses,
)
from memir.kube.ram import RamSource
from tests.fuzz import cases
from tests.images import case
from tests.kube.test_identity import process

CASES = cases(300)
A, B, C = "a" * 64, "b" * 64, "c" * 64
UID = "312024f9-523b-4759-8d0b-e362735ecf77"
BEGAN, ENDED = "2026-11-23T22:27:29Z", "2026-11-23T22:28:29Z"
BEGAN_NS = 1_795_472_849_000_000_000


def status(name: str, container_id: str, state: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = {
        "containerID": f"containerd://{container_id}",
        "image": "i:1",
        "lastState": {},
        "name": name,
        "restartCount": 0,
    }
    return {**made, "state": state, **more}


def terminated(container_id: str, code: int, reason: str) -> dict[str, Any]:
    return {"terminated": {"containerID": f"containerd://{container_id}", "exitCode": code, "reason": reason,
                           "startedAt": BEGAN, "finishedAt": ENDED}}  # fmt: skip


def patch(phase: str, **lists: list[dict[str, Any]]) -> bytes:
    return json.dumps({"metadata": {"uid": UID}, "status": {**lists, "phase": phase}}, separators=(",", ":")).encode()


RUNNING = status("api", A, {"running": {"startedAt": BEGAN}}, restartCount=2, lastState=terminated(B, 137, "OOMKilled"))
INIT = status("setup", C, terminated(C, 0, "Completed"))
WHOLE = patch("Running", containerStatuses=[RUNNING], initContainerStatuses=[INIT])


def test_a_status_patch() -> None:
    found = latest(container_statuses(b"\x00junk" + WHOLE + bytes(100)))
    assert found == {
        A: ContainerStatus(A, "api", "container", "running", restarts=2, started_at=BEGAN_NS, image="i:1"),
        B: ContainerStatus(
            B, "api", "container", "terminated", 137, "OOMKilled", 1, BEGAN_NS, BEGAN_NS + 60 * 10**9, "i:1"
        ),
        C: ContainerStatus(C, "setup", "init", "terminated", 0, "Completed", 0, BEGAN_NS, BEGAN_NS + 60 * 10**9, "i:1"),
    }
    assert list(pod_phases(WHOLE)) == [(UID, "Running")]


def test_kinds_of_lists() -> None:
    debug = status("debugger", B, {"running": {"startedAt": BEGAN}})
    (found,) = latest(container_statuses(patch("Running", ephemeralContainerStatuses=[debug]))).values()
    assert (found.kind, found.name) == ("ephemeral", "debugger")


def test_a_status_whose_beginning_was_written_over() -> None:
    """What remains of one in a reused buffer is whole by itself; its list is not known any more."""
    at = WHOLE.index(b'{"containerID":"containerd://' + C.encode())
    (found,) = [one for one in container_statuses(b"\x12\x00" + WHOLE[at:]) if one.container_id == C]
    assert (found.kind, found.state, found.exit_code) == (None, "terminated", 0)
    cut = WHOLE[at : at + 150]
    assert not list(container_statuses(cut))


def test_of_several_versions_the_latest() -> None:
    early = patch("Pending", containerStatuses=[status("api", A, {"waiting": {"reason": "ContainerCreating"}})])
    later = patch("Running", containerStatuses=[status("api", A, {"running": {"startedAt": BEGAN}})])
    last = patch("Failed", containerStatuses=[status("api", A, terminated(A, 1, "Error"))])
    for order in ((early, later, last), (last, later, early), (later, last, early)):
        assert latest(container_statuses(b"\0".join(order)))[A].exit_code == 1
    assert latest(container_statuses(early))[A].reason == "ContainerCreating"


def test_types_that_lie() -> None:
    odd = status("api", A, {"terminated": {"exitCode": "1", "reason": 7, "startedAt": "yesterday", "finishedAt": []}})
    (found,) = latest(container_statuses(patch("Odd", containerStatuses=[odd]))).values()
    assert (found.exit_code, found.reason, found.started_at, found.finished_at) == (None, None, None, None)
    assert not list(container_statuses(patch("x", containerStatuses=[{**odd, "containerID": "no id"}])))
    assert not list(pod_phases(patch("Odd")))


def test_which_process_is_the_kubelet() -> None:
    """The oldest of that name that sees the node's own files: a pod may call a process of its own so too."""
    first = process(1, 0, "/init.scope", {})
    real = process(300, 1, "/runtime.slice", {}, args=["/usr/bin/kubelet", "--node-ip=10.0.1.23", "--v", "2"])
    second = replace(real, pid=900, start=900, args=["kubelet", "--node-ip=6.6.6.6"])
    inside = replace(real, pid=20, start=20, namespaces={**real.namespaces, "mnt": 77})
    assert kubelet_of([first, second, real, inside]) is real
    assert kubelet_options([first, real]) == {"node-ip": "10.0.1.23", "v": "2"}
    assert (kubelet_of([first, inside]), kubelet_options([first])) == (None, {})


def test_statuses_of_every_image(image: str, node_of: Callable[[str], RamSource]) -> None:
    """A real kubelet's heap tells how the ended job ended; the small images' kubelet is none and holds nothing."""
    node = node_of(image)
    found = statuses(node.kernel, node.processes.rows)
    if not image.startswith("node-"):
        assert (found.containers, found.phases) == ({}, {})
        return
    pods = {pod["metadata"]["uid"]: pod for pod in json.loads(case(image).beside("pods.json").read_text())["items"]}
    assert found.phases
    for uid, phase in found.phases.items():
        assert pods[uid]["status"]["phase"] == phase
    told = {
        one["containerID"].partition("://")[2]: one["state"]
        for pod in pods.values() for one in pod["status"]["containerStatuses"]
    }  # fmt: skip
    ended = [one for one in found.containers.values() if one.state == "terminated"]
    assert ended
    for one in found.containers.values():
        assert one.exit_code == told[one.container_id].get("terminated", {}).get("exitCode")


@settings(max_examples=CASES, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=12))
def test_mutated_statuses(at: int, put: bytes) -> None:
    data = WHOLE[:at] + put + WHOLE[at + len(put) :]
    for one in latest(container_statuses(data)).values():
        assert isinstance(one.container_id, str)
        assert one.exit_code is None or isinstance(one.exit_code, int)
    assert all(isinstance(uid, str) for uid, _ in pod_phases(data))
