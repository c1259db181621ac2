# SPDX-License-Identifier: Apache-2.0
"""`memir collect fargate` as it is typed: printed first, refused without a yes, collected, judged."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from memir.cli import collect_fargate
from memir.cli.collect_print import verb
from memir.collect.fargate.settings import FargateSettings
from tests.cli.test_collect import memir
from tests.collect.fargate.conftest import server  # noqa: F401  (a fixture)
from tests.collect.fargate.rig import FargateRig, FargateServer


def words(pod: FargateRig, tmp_path: Path, *more: str) -> list[str]:
    return ["collect", "fargate", f"{pod.namespace}/{pod.name}", "-o", str(tmp_path / "ev"), "--kubeconfig",
            str(tmp_path / "kubeconfig"), *more]  # fmt: skip


def test_printed_first_and_nothing_done(
    fargate_pod: FargateRig, server: FargateServer, tmp_path: Path  # noqa: F811
) -> None:
    plan = memir(*words(fargate_pod, tmp_path, "--dry-run"))
    assert plan.returncode == 0, plan.stderr
    assert "[kubernetes] ADD AN EPHEMERAL CONTAINER memir-" in plan.stdout
    assert "CANNOT BE TAKEN BACK" in plan.stdout
    refused = memir(*words(fargate_pod, tmp_path))
    assert refused.returncode == 2
    assert "read --dry-run, then --accept-ephemeral (no terminal to ask on); or --way exec" in refused.stderr
    assert server.made == {}


def test_asked_on_the_terminal(
    fargate_pod: FargateRig, server: FargateServer, tmp_path: Path  # noqa: F811
) -> None:
    ours, theirs = pty.openpty()
    run = [sys.executable, "-c", "from memir.cli.main import main; main()", *words(fargate_pod, tmp_path)]
    with subprocess.Popen(run, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        os.close(theirs)
        os.write(ours, b"no\n")
        out, error = running.communicate()
    os.close(ours)
    assert running.returncode == 2
    assert b"CANNOT BE TAKEN BACK" in out
    assert b"not accepted: nothing was changed" in error
    assert server.made == {}


def test_collected_and_judged(
    fargate_pod: FargateRig, server: FargateServer, tmp_path: Path  # noqa: F811
) -> None:
    done = memir(*words(fargate_pod, tmp_path, "--accept-ephemeral", "--no-memory", "--user", "1000:1000", "--json"))
    assert done.returncode == 4
    receipt = json.loads(done.stdout)
    assert (receipt["kind"], receipt["status"]) == ("pod", "partial")
    assert any("runs as user 0" in line for line in receipt["missing"])
    judged = memir("verify", str(tmp_path / "ev"))
    assert judged.returncode == 4
    assert judged.stdout.endswith(f"{tmp_path}/ev: holds, partial, unsigned\n")
    case = memir("analyze", str(tmp_path / "ev"), "-o", str(tmp_path / "case"))
    assert case.returncode == 3, case.stderr
    assert (tmp_path / "case/tables/processes.parquet").is_file()
    assert not (tmp_path / "case/tables/modules.parquet").exists()


def test_a_pod_on_fargate_is_sent_here(
    fargate_pod: FargateRig, server: FargateServer, tmp_path: Path  # noqa: F811
) -> None:
    sent = memir("collect", "pod", *words(fargate_pod, tmp_path)[2:])
    assert sent.returncode == 4
    name = f"{fargate_pod.namespace}/{fargate_pod.name}"
    assert f"`memir collect fargate {name} -o DIR` collects it from within" in sent.stderr
    assert "cannot be taken back" in (verb(FargateSettings, collect_fargate.fargate).__doc__ or "")
