# SPDX-License-Identifier: Apache-2.0
"""The collector within a pod, in this process with a user's rights: whose memory, whose files, and who is named."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from memir.collect.node import access
from memir.collect.node.beside import collect, main
from memir.collect.node.frames import Frames
from memir.collect.node_side import BESIDE, Request, bundle, script
from tests.collect.fargate.rig import HEAP, PASSWORD, ROOT_HEAP, USER, FargateRig
from tests.collect.node.limited import as_user
from tests.collect.streams import items


def request(pod: FargateRig, **more: Any) -> dict[str, Any]:
    began = {pod.container: time.time()}
    return {"apart": True, "target": pod.container, "shared": False, "containers": began, "memory": True,
            "rootfs": False, **more}  # fmt: skip


def test_as_the_container_s_user(
    fargate_pod: FargateRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = [pid for pid in fargate_pod.members() if Path(f"/proc/{pid}/root").readlink() == fargate_pod.merged]
    monkeypatch.setattr(access, "pids", lambda: inside)
    out = io.BytesIO()
    with as_user(USER):
        collect(Frames(out), request(fargate_pod))
    files, end = items(out.getvalue())
    assert HEAP in files[f"clear/memory/{fargate_pod.pid}.core"][0]
    assert not any(ROOT_HEAP in content for content, _ in files.values() if len(content) > 1 << 16)
    facts = end["facts"]
    refused = {row["pid"]: row["why"] for row in facts["refused"]}
    assert "is not dumpable" in refused[fargate_pod.hidden_pid]
    assert refused[fargate_pod.root_pid].startswith("runs as user 0, group 0, this reader as 1000")
    assert facts["containers"] == [fargate_pod.container]
    assert (facts["reader"]["user"], facts["reader"]["capabilities"]) == (USER, "0")
    rows = {row["pid"]: row for row in map(json.loads, files["node/processes.jsonl"][0].splitlines())}
    assert rows[fargate_pod.root_pid]["container"] == fargate_pod.container
    assert rows[fargate_pod.root_pid]["links"]["exe"] is None
    words = {row["pid"]: row for row in map(json.loads, files["clear/processes.jsonl"][0].splitlines())}
    assert PASSWORD in words[fargate_pod.pid]["environ"]
    assert "environ" not in words[fargate_pod.hidden_pid]
    kinds = {gap["kind"]: gap for gap in end["gaps"]}
    assert kinds["memory, environment, open files"]["missing"]
    assert any(name.startswith("node/net/") for name in files)
    assert [name for name in files if name.startswith("node/mounts/of-pid-")]
    assert any(name.endswith("/changed.tar") for name in files)


def test_no_root_that_we_may_enter(fargate_pod: FargateRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "pids", lambda: [fargate_pod.root_pid])
    out = io.BytesIO()
    with as_user(USER):
        collect(Frames(out), request(fargate_pod, memory=False))
    _, end = items(out.getvalue())
    gaps = {gap["kind"]: gap["why"] for gap in end["gaps"]}
    assert gaps["files"] == "the kernel lets us into the root of none of its processes"
    assert gaps["environment, open files"].endswith("without SYS_PTRACE")


def test_a_reader_that_goes_away(
    fargate_pod: FargateRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.BytesIO):
        def write(self, data: Any) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", type("Out", (), {"buffer": Gone()}))
    with pytest.raises(SystemExit, match="74"):
        main(request(fargate_pod))


def test_from_standard_input(fargate_pod: FargateRig) -> None:
    """As an exec runs it, in the container's own namespaces and as its user."""
    line = bundle(Request("u", {}, memory=False), BESIDE, {"apart": False, "target": "t", "shared": False})
    enter = ["nsenter", "-t", str(fargate_pod.pid), "-m", "-p", "-n", "--", "chroot", f"--userspec={USER}:{USER}",
             "--groups=", str(fargate_pod.merged), "/bin/sh", "-c", script()]  # fmt: skip
    done = subprocess.run(enter, input=line, check=True, capture_output=True)
    files, end = items(done.stdout)
    assert end["facts"]["processes"] == 5
    assert "node/containers/t/changed.tar" in files
