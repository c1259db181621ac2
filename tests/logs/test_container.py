# SPDX-License-Identifier: Apache-2.0
"""The table container_logs: what read() gives of both forms, and whose it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.findings.real import INTRUDED, node
from tests.logs.made import rows, written

API = "api-58f6c9d7b4-q8xkz"


def test_both_forms(tmp_path: Path) -> None:
    cri = written(
        tmp_path, "cri", "2016-10-06T00:17:09.669794202Z stdout P log content 1",
        "2024-04-16T06:21:30.5+02:00 stderr F",
        "2024-04-16T06:21:30.5Z stderr F:x token=ghp_" + "a1" * 18,
    )  # fmt: skip
    docker = written(tmp_path, "docker", {"log": "\x1b[2Jls\r\n", "stream": "stdout", "time": "2016-01-07T16:49:10.2Z"})
    first, second, third = rows(cri, "container_logs")
    assert (first["time"], first["stream"], first["partial"], first["text"]) == (
        datetime(2016, 10, 6, 0, 17, 9, 669794, UTC), "stdout", True, "log content 1",
    )  # fmt: skip
    assert (second["time"], second["partial"], second["text"] or "") == (
        datetime(2024, 4, 16, 4, 21, 30, 500000, UTC), False, "",
    )  # fmt: skip
    assert third["text"].startswith("token=*** (")
    (row,) = rows(docker, "container_logs")
    assert (row["stream"], row["partial"], row["text"]) == ("stdout", False, "\x1b[2Jls")


def test_whose_they_are(tmp_path: Path) -> None:
    tables = node(INTRUDED)[0]
    (box,) = [
        row for row in tables["containers"].to_pylist() if (row["pod_name"], row["container_name"]) == (API, "api")
    ]
    folder = tmp_path / "pods" / f"{box['namespace']}_{API}_{box['pod_uid']}" / "api"
    folder.mkdir(parents=True)
    (row,) = rows(written(folder, "0.log", "2016-10-06T00:17:09.6Z stdout F x"), "container_logs", tables.get)
    assert (row["pod_uid"], row["container_id"], row["namespace"]) == (
        box["pod_uid"], box["container_id"], box["namespace"],
    )  # fmt: skip
    named = written(tmp_path, f"{API}_{box['container_id']}.log", "2016-10-06T00:17:09.6Z stdout F x")
    (row,) = rows(named, "container_logs", tables.get)
    assert (row["pod_name"], row["container_name"]) == (API, "api")
