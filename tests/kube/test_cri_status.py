# SPDX-License-Identifier: Apache-2.0
"""Status files of containerd's CRI plugin: read from real nodes' page cache, and such as are torn or odd."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from memir.kube.cri_status import CriStatus, cri_statuses, parse_status
from memir.kube.ram import RamSource
from tests.images import case

ID = "d5d46fe2260c5d39e903d1e67253f7e3859f861993499f134ad81b1f2cb24c2c"
# as containerd 1.6 wrote it of a Job's container on a node of kubelet 1.34
ENDED = (
    b'{"Version":"v1","Pid":0,"CreatedAt":1795914222313556180,"StartedAt":1795914247354373370,"FinishedAt":'
    b'1795914246516068800,"ExitCode":0,"Reason":"","Message":"","Resources":{"linux":{"cpu_period":100000,"cpu_shares":'
    b'2,"oom_score_adj":1000,"unified":{"memory.oom.group":"1","memory.swap.max":"0"}}}}'
)
STARTED, FINISHED = 1795914247 * 10**9, 1795914246 * 10**9


def changed(**values: Any) -> CriStatus | None:
    return parse_status(json.dumps(json.loads(ENDED) | values).encode(), ID, "/status")


def test_one_that_ended() -> None:
    assert parse_status(ENDED, ID, "/status") == CriStatus(ID, "/status", 0, "Completed", STARTED, FINISHED)
    assert parse_status(ENDED + bytes(3000), ID, "/status") == parse_status(ENDED, ID, "/status")


@pytest.mark.parametrize(
    ("values", "code", "reason"),
    [
        ({"ExitCode": 3}, 3, "Error"),
        ({"ExitCode": 137, "Reason": "OOMKilled"}, 137, "OOMKilled"),
        ({"ExitCode": -1}, -1, "Error"),
        ({"ExitCode": 1, "Reason": "x" * 4000}, 1, "x" * 128),
        ({"ExitCode": 128, "Reason": "StartError"}, 128, "StartError"),
    ],
)
def test_how_it_ended(values: dict[str, Any], code: int, reason: str) -> None:
    status = changed(**values)
    assert status is not None
    assert (status.exit_code, status.reason, status.finished_at) == (code, reason, FINISHED)


def test_one_that_runs_has_not_ended() -> None:
    """The file says exit code 0 of it too."""
    assert changed(FinishedAt=0) == CriStatus(ID, "/status", None, None, STARTED, None)
    assert changed(FinishedAt=0, StartedAt=0) == CriStatus(ID, "/status")


def test_what_is_no_status() -> None:
    assert parse_status(ENDED[:100], ID, "/status") is None
    assert parse_status(b"", ID, "/status") is None
    assert changed(Version="v2") is None
    odd = changed(ExitCode=True, StartedAt="now", FinishedAt=-5)
    assert odd == CriStatus(ID, "/status")
    assert changed(ExitCode=1 << 40) == CriStatus(ID, "/status", started_at=STARTED)


def test_of_every_image(image: str, node_of: Callable[[str], RamSource]) -> None:
    """Small nodes have a database and no status files. On whole ones (tests/lab/check eks has more): as the API
    server has it, of those that page cache still holds.
    """
    node = node_of(image)
    recorded = case(image)
    assert cri_statuses(node.kernel, node.mounts, np.zeros(0, np.uint64)) == {}  # no containerd, no files of its
    if "containers" not in recorded.raw_truth():
        assert node.files.ended == {}
        return
    pods = json.loads(recorded.beside("pods.json").read_text())["items"]
    told = {
        one["containerID"].split("//")[1]: one["state"] for pod in pods for one in pod["status"]["containerStatuses"]
    }
    ended = {at: state["terminated"] for at, state in told.items() if "terminated" in state}
    assert node.files.ended.keys() <= told.keys()
    for at, status in node.files.ended.items():
        assert status.where.endswith(f"/io.containerd.grpc.v1.cri/containers/{at}/status")
        assert (status.exit_code is not None) == (at in ended)
        if at in ended:
            finished = round(datetime.fromisoformat(ended[at]["finishedAt"]).timestamp()) * 10**9
            assert (status.exit_code, status.reason) == (ended[at]["exitCode"], ended[at]["reason"])
            assert status.finished_at == finished
