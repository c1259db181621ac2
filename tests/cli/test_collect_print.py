# SPDX-License-Identifier: Apache-2.0
"""A collection printed: whole, not whole, as one document; a dry run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from memir.acquire.transports.local import LocalTransport
from memir.cli.collect_print import finish, go, show_dry_run, verb
from memir.collect.run import CollectOptions, PodCollection
from memir.collect.settings import Settings
from memir.collect.target import by_uid
from memir.errors import PartialError
from tests.collect.podrig import PodRig

OTHER = "11111111-2222-3333-4444-555555555555"


def run(pod: PodRig, folder: Path, uid: str) -> PodCollection:
    options = CollectOptions(memory=False)
    return PodCollection(LocalTransport(pod.root), by_uid(uid, "shop/web"), folder, options)


def test_finish(pod: PodRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(run(pod, tmp_path / "a", pod.uid), as_json=False)
    out = capsys.readouterr().out
    assert out.startswith(f"complete: pod shop/web in {tmp_path}/a: ")
    assert out.endswith(f"Check it:  memir verify {tmp_path}/a\n")
    finish(run(pod, tmp_path / "b", pod.uid), as_json=True)
    assert json.loads(capsys.readouterr().out)["status"] == "complete"
    with pytest.raises(PartialError):
        finish(run(pod, tmp_path / "c", OTHER), as_json=False)
    with pytest.raises(typer.Exit) as stopped:
        finish(run(pod, tmp_path / "d", OTHER), as_json=True)
    assert stopped.value.exit_code == 4
    assert json.loads(capsys.readouterr().out)["status"] == "partial"


def test_go_and_verb(pod: PodRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings from words, what is prepared looked at first, then done or only shown."""
    seen: list[object] = []

    def prepare(settings: Settings, report: object, command: object) -> PodCollection:
        return run(pod, Path(settings.output), pod.uid)

    def done(settings: Settings, *, as_json: bool) -> None:
        go(settings, prepare, as_json=as_json, look=lambda made: seen.append(made.evidence))

    made = verb(Settings, done)
    made(name="shop/web", output=str(tmp_path / "a"), dry_run=True, json=True)
    assert json.loads(capsys.readouterr().out)["evidence"] == str(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    made(name="shop/web", output=str(tmp_path / "a"), json=True)
    assert json.loads(capsys.readouterr().out)["status"] == "complete"
    assert seen == [tmp_path / "a"] * 2


def test_show_dry_run(pod: PodRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_dry_run(run(pod, tmp_path / "a", pod.uid), as_json=True)
    assert json.loads(capsys.readouterr().out)["evidence"] == str(tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("x")
    with pytest.raises(typer.Exit):
        show_dry_run(run(pod, tmp_path / "full", pod.uid), as_json=False)
    assert "is not empty" in capsys.readouterr().out
