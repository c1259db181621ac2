# SPDX-License-Identifier: Apache-2.0
"""`memir collect ecs` as it is typed: printed without an exec, refused, collected, judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from memir.cli.collect_ecs import ecs
from memir.cli.collect_print import verb
from memir.collect.ecs.settings import EcsSettings
from tests.cli.test_collect import memir
from tests.collect.ecs.conftest import ecs_server  # noqa: F401  (fixture)
from tests.collect.ecs.rig import TASK, EcsServer


def words(server: EcsServer, tmp_path: Path, *more: str) -> list[str]:
    return ["collect", "ecs", "shop", TASK, "-o", str(tmp_path / "ev"), "--endpoint", server.endpoint, "--region",
            "eu-west-1", *more]  # fmt: skip


def test_printed_and_nothing_run(ecs_server: EcsServer, tmp_path: Path) -> None:  # noqa: F811
    plan = memir(*words(ecs_server, tmp_path, "--dry-run"))
    assert plan.returncode == 0, plan.stderr
    assert "[aws] run Python and a shell in container web of task" in plan.stdout
    ecs_server.task["enableExecuteCommand"] = False
    refused = memir(*words(ecs_server, tmp_path))
    assert refused.returncode == 4
    assert "enableExecuteCommand: the task has not" in refused.stderr
    assert ecs_server.sessions == {}
    assert "enableExecuteCommand" in (verb(EcsSettings, ecs).__doc__ or "")


def test_collected_and_judged(ecs_server: EcsServer, tmp_path: Path) -> None:  # noqa: F811
    done = memir(*words(ecs_server, tmp_path, "--no-memory", "--json"))
    assert done.returncode == 4
    receipt = json.loads(done.stdout)
    assert (receipt["kind"], receipt["status"]) == ("pod", "partial")
    assert any("runs as user 0" in line for line in receipt["missing"])
    judged = memir("verify", str(tmp_path / "ev"))
    assert judged.stdout.endswith(f"{tmp_path}/ev: holds, partial, unsigned\n")


def test_as_a_function(
    ecs_server: EcsServer,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = EcsSettings(
        "shop", str(tmp_path / "ev"), task=TASK, endpoint=ecs_server.endpoint, region="eu-west-1", dry_run=True
    )
    ecs(asked, as_json=True)
    plan = json.loads(capsys.readouterr().out)
    assert [check["level"] for check in plan["checks"]][:4] == ["ok", "ok", "warn", "ok"]
    assert not (tmp_path / "ev").exists()
    ecs_server.deny.add("DescribeClusters")
    with pytest.raises(typer.Exit) as ended:
        ecs(asked, as_json=False)
    assert ended.value.exit_code == 4
    assert "--accept-session-log" in capsys.readouterr().out
