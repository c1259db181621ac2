# SPDX-License-Identifier: Apache-2.0
"""`memir collect pod` as it is typed."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
from pathlib import Path
from typing import Any

import typer

from memir.cli import collect
from memir.collect.ecs.settings import EcsSettings
from memir.collect.fargate.settings import FargateSettings
from memir.collect.settings import Settings
from tests.acquire.conftest import aws, bucket, s3, shim  # noqa: F401  (fixtures)
from tests.acquire.rigs.s3shim import Shim
from tests.cli.test_acquire import memir as run_memir
from tests.collect.conftest import kube  # noqa: F401  (a fixture)
from tests.collect.killed import killed_after
from tests.collect.podrig import PASSWORD, PodRig


def memir(*words: str) -> subprocess.CompletedProcess[str]:
    return run_memir(*words, tools=Path("/none"), cwd=Path("/"))


def test_collect_and_verify(pod: PodRig, kube: object, tmp_path: Path) -> None:  # noqa: F811
    name, evidence = f"{pod.namespace}/{pod.name}", str(tmp_path / "ev")
    words = ["collect", "pod", name, "--transport", "local", "--root", str(pod.root), "--kubeconfig",
             str(tmp_path / "kubeconfig"), "-o", evidence]  # fmt: skip
    plan = memir(*words, "--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert "run the collector from memory, as one process at low priority; nothing is written there" in plan.stdout
    assert not Path(evidence).exists()
    done = memir(*words, "--rootfs", "--no-memory")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"complete: pod {name} in {evidence}: ")
    assert "gap: log wait: the API server has none (the file is empty)\n" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr
    judged = memir("verify", evidence)
    assert judged.returncode == 5
    assert judged.stdout.endswith(f"{evidence}: holds, complete, unsigned\n")
    assert f", pod {name}" in judged.stdout


def test_what_goes_wrong(tmp_path: Path) -> None:
    words = ["collect", "pod", "shop/web", "-o", str(tmp_path / "ev")]
    wrong = memir(*words, "--transport", "ssh")
    assert (wrong.returncode, wrong.stderr) == (
        2, "memir: --transport ssh: which host? pass --host USER@HOST, the node that the pod is on\n",
    )  # fmt: skip
    other = memir(*words, "--transport", "local", "--uid", "11111111-2222-3333-4444-555555555555", "--json")
    assert other.returncode == 4
    receipt = json.loads(other.stdout)
    assert (receipt["kind"], receipt["status"]) == ("pod", "partial")
    assert "is it the node that the pod is on?" in receipt["missing"][0]


def test_register() -> None:
    app = typer.Typer()
    collect.register(app)
    assert [group.name for group in app.registered_groups] == ["collect"]
    made: dict[str, Any] = {command.name or "close": command.callback for command in collect.app.registered_commands}
    assert list(made) == ["pod", "close", "fargate", "ecs"]
    assert made["close"] is collect.close
    for name, settings in (("pod", Settings), ("fargate", FargateSettings), ("ecs", EcsSettings)):
        fields = [field.name for field in dataclasses.fields(settings)]
        assert [*inspect.signature(made[name]).parameters] == [*fields, "json"]


def test_into_s3_and_verified_from_there(
    pod: PodRig, kube: object, s3: Any, bucket: str, shim: Shim, tmp_path: Path,  # noqa: F811
) -> None:
    name, to = f"{pod.namespace}/{pod.name}", f"s3://{bucket}/ir-7"
    there = ["--s3-endpoint", shim.endpoint, "--region", shim.region]
    words = ["collect", "pod", name, "--transport", "local", "--root", str(pod.root), "--kubeconfig",
             str(tmp_path / "kubeconfig"), "--no-memory", *there]  # fmt: skip
    done = memir(*words, "-o", str(tmp_path / "record"), "--to", to)
    assert done.returncode == 0, done.stderr
    where = f"{to}/record"
    assert done.stdout.startswith(f"complete: pod {name} in {where}: ")
    assert done.stdout.endswith(
        f"Check it:  memir verify {where}\nthe record is in {tmp_path}/record too. "
        f"To analyze it, bring it here:  aws s3 cp --recursive {where} DIR\n"
    )  # fmt: skip
    judged = memir("verify", where, *there)
    assert (judged.returncode, judged.stderr) == (5, "")
    assert judged.stdout.endswith(f"{where}: holds, complete, unsigned\n")
    refused = memir("analyze", str(tmp_path / "record"), "-o", str(tmp_path / "case"))
    assert refused.returncode == 3
    assert f"its files are in {where}: bring them here with `aws s3 cp --recursive {where} DIR`" in refused.stderr


def test_a_prefix_alone_names_the_folder_of_the_record(
    pod: PodRig, s3: Any, bucket: str, shim: Shim, tmp_path: Path,  # noqa: F811
) -> None:
    words = ["collect", "pod", f"{pod.namespace}/{pod.name}", "--transport", "local", "--root", str(pod.root), "--uid",
             pod.uid, "--no-memory", "-o", f"s3://{bucket}/ir-7", "--s3-endpoint", shim.endpoint, "--region",
             shim.region, "--json"]  # fmt: skip
    done = run_memir(*words, tools=Path("/none"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (record,) = tmp_path.iterdir()
    assert record.name.startswith(f"memir-{pod.namespace}-{pod.name}-2")
    assert json.loads(done.stdout)["collection"]["where"] == f"s3://{bucket}/ir-7/{record.name}"


def test_close(pod: PodRig, tmp_path: Path) -> None:
    killed_after(pod, tmp_path / "ev", 300_000)
    judged = memir("verify", str(tmp_path / "ev"))
    assert judged.returncode == 3
    assert "did not end (`memir collect close FOLDER` closes it)" in judged.stdout
    other = memir("acquire", "close", str(tmp_path / "ev"))
    assert (other.returncode, other.stderr) == (
        2, f"memir: {tmp_path}/ev is of a pod: `memir collect close {tmp_path}/ev` closes it\n"
    )  # fmt: skip
    closed = memir("collect", "close", str(tmp_path / "ev"))
    assert closed.returncode == 0, closed.stderr
    assert closed.stdout.startswith(f"{tmp_path}/ev: closed as interrupted: ")
    assert "missing: the controller was killed before the run ended\n" in closed.stdout
    again = memir("collect", "close", str(tmp_path / "ev"), "--json")
    assert (again.returncode, "that run has ended" in again.stderr) == (2, True)
    assert memir("analyze", str(tmp_path / "ev"), "-o", str(tmp_path / "case")).returncode == 3
