# SPDX-License-Identifier: Apache-2.0
"""The runtime's own records and the kubelet's log files, from a node's /run and /var."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from memir.collect.node import runtime
from memir.collect.node.frames import Frames
from memir.collect.node.runtime import bundles_of, read_regular, write_logs, write_records
from tests.collect.node.test_collector import on_node
from tests.collect.podrig import PASSWORD, PodRig

PARTS = "from memir.collect.node.runtime import *\nfrom memir.collect.node.frames import Frames\nimport sys\n"


def run(pod: PodRig, statement: str) -> tuple[dict[str, Any], dict[str, Any]]:
    text = (
        f"{PARTS}def main(request):\n    frames = Frames(sys.stdout.buffer)\n    frames.end({{'value': {statement}}})\n"
    )
    return on_node(pod, text)


def test_records_and_logs(pod: PodRig) -> None:
    _, end = run(pod, f"sorted(bundles_of({pod.uid!r}))")
    assert end["facts"]["value"] == sorted([pod.container, pod.sandbox])
    files, end = run(pod, f"write_records(frames, [{pod.container!r}, {'0' * 64!r}])")
    assert end["facts"]["value"] == {pod.container: 3, "0" * 64: 0}, "the FIFO is not opened"
    spec = json.loads(files[f"node/runtime/{pod.container}/task/config.json"][0])
    assert spec["process"]["env"][0] == f"DB_PASSWORD={PASSWORD}"
    files, end = run(pod, f"write_logs(frames, {pod.uid!r})")
    assert end["facts"]["value"] == 2
    assert files["node/logs/web/0.log"][0].endswith(b"first run\n")
    assert [(gap["why"], gap["missing"]) for gap in end["gaps"]] == [("a link: not followed", False)]


def test_here_there_is_none(tmp_path: Path) -> None:
    assert bundles_of("00000000-0000-0000-0000-000000000000") == set()
    (tmp_path / "x").write_bytes(b"abc")
    assert read_regular(str(tmp_path / "x"), 2) == b"ab"
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="no regular file"):
        read_regular(str(tmp_path / "fifo"), 2)
    assert (write_logs.__name__, write_records.__name__) == ("write_logs", "write_records")


def test_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on a small tree: a record that names the pod, one of another, one that is no JSON; a log and a link."""
    tasks, logs = tmp_path / "tasks", tmp_path / "logs"
    for name, config in (("c1", {"annotations": {"io.kubernetes.pod.uid": "U"}}), ("c2", {"annotations": {}})):
        (tasks / name).mkdir(parents=True)
        (tasks / name / "config.json").write_text(json.dumps(config))
    (tasks / "c3").mkdir()
    (tasks / "c3" / "config.json").write_text("{")
    os.mkfifo(tasks / "c1" / "log")
    (logs / "n_p_U" / "web").mkdir(parents=True)
    (logs / "n_p_U" / "web" / "0.log").write_text("hello\n")
    (logs / "n_p_U" / "web" / "1.log").symlink_to("/etc/hostname")
    (logs / "n_p_U" / "web" / "2.log").mkdir()
    (logs / "n_q_V").mkdir()
    monkeypatch.setattr(runtime, "TASKS", str(tasks))
    monkeypatch.setattr(runtime, "FOLDERS", (("task", f"{tasks}/%s"), ("runc", f"{tmp_path}/none/%s")))
    monkeypatch.setattr(runtime, "POD_LOGS", str(logs))
    assert bundles_of("U") == {"c1"}
    out = io.BytesIO()
    frames = Frames(out)
    assert write_records(frames, ["c1", "gone"]) == {"c1": 1, "gone": 0}
    assert write_logs(frames, "U") == 2, "a folder of that name ends nothing"
    frames.end({})
    told = out.getvalue()
    assert b"node/runtime/c1/task/config.json" in told and b"hello" in told and b"a link: not followed" in told
