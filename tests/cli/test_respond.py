# SPDX-License-Identifier: Apache-2.0
"""`memir respond`: dry run, refusals, a run against a strict API on loopback, killed, gone on with, taken back."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memir.cli import respond
from memir.respond.journal import read_journal
from memir.respond.launch import save_plan
from tests.cli.conftest import Memir, registered
from tests.respond import shop
from tests.respond.strict_api import StrictApi
from tests.respond.worlds import without


class Rig:
    """A plan's file, and the server that it is for."""

    def __init__(self, folder: Path) -> None:
        self.server: StrictApi = shop.server()
        self.path = folder / "plan.yaml"
        made = without(shop.plan(folder / "cluster"), "acquire", "collect", "snapshot-volumes", "isolate-node")
        self.digest = save_plan(made, self.path)
        self.options = ("--kubeconfig", str(self.server.start(folder)))
        self.record = folder / "plan.run"


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv("COLUMNS", "160")
    made = Rig(tmp_path)
    yield made
    made.server.stop()


def test_a_dry_run_contacts_nothing(memir: Memir, rig: Rig) -> None:
    ran = memir("respond", rig.path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-2:] == [
        "Nothing was changed and nothing was contacted: this was a dry run.", f"SHA-256     {rig.digest}",
    ]  # fmt: skip
    assert "request   PATCH" in ran.out and "undo      The label is taken from the pod" in ran.out
    assert memir("respond", rig.path, "--json").json()["sha256"] == rig.digest
    assert (rig.server.requests, rig.record.exists()) == ([], False)


def test_refusals(memir: Memir, rig: Rig, tmp_path: Path) -> None:
    save_plan(shop.plan(tmp_path / "c", evidence="evidence"), tmp_path / "lacks.yaml")
    lacks = hashlib.sha256((tmp_path / "lacks.yaml").read_bytes()).hexdigest()
    for words, message in (
        ((rig.path, "--execute"), "no terminal to ask on: run it on one, or give --approve"),
        ((rig.path, "--execute", "--approve", "0" * 64), f"the plan's SHA-256 is {rig.digest}: read it again"),
        ((rig.path, "--resume", "--approve", rig.digest), "has no record of a run"),
        ((rig.path, "--undo", "--execute", "--approve", rig.digest), "--undo takes a run back"),
        ((tmp_path / "lacks.yaml", "--execute", "--approve", lacks), "facts, and nothing is run"),
        ((rig.path, "--undo", "--only", "cordon", "--approve", rig.digest), "--only chooses what is run"),
        ((rig.path, "--only", "acq", "--execute", "--approve", rig.digest), "--only acq: no step of the plan"),
    ):
        ran = memir("respond", *words, *rig.options)
        assert (ran.code, ran.out) == (2, "") and message in ran.err
    assert rig.server.requests == []


def test_done_and_taken_back(memir: Memir, rig: Rig) -> None:
    before = rig.server.state()
    ran = memir("respond", rig.path, "--execute", "--approve", rig.digest, *rig.options)
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.out.splitlines() if line[:1].isupper()] == [
        "DONE", "DONE", "DONE", "DONE", "DONE", "LEFT", "DONE", "Record",
    ]  # fmt: skip
    assert rig.server.state() != before
    ran = memir("respond", rig.path, "--execute", "--approve", rig.digest, *rig.options)
    assert ran.code == 2 and "go on with --resume, or take it back with --undo" in ran.err
    ran = memir("respond", rig.path, "--undo", "--approve", rig.digest, *rig.options, "--json")
    assert ran.code == 0 and not any(change["kept"] for change in ran.json()["changes"])
    assert rig.server.state() == before and rig.server.refused == []


def test_one_step_of_a_plan_that_lacks_facts(memir: Memir, rig: Rig, tmp_path: Path) -> None:
    """RAM first, whatever another step lacks: the message's own words are typed, then --resume goes on."""
    whole = without(shop.plan(tmp_path / "c"), "acquire", "collect", "snapshot-volumes", "isolate-node")
    steps = tuple(dataclasses.replace(s, unresolved=("x",)) if s.kind == "detach" else s for s in whole.steps)
    lacking = tmp_path / "lacking.yaml"
    digest = save_plan(dataclasses.replace(whole, steps=steps), lacking)
    refused = memir("respond", lacking, "--execute", "--approve", digest, *rig.options)
    words = re.findall(r"--only \S+", refused.err)
    assert (refused.code, words) == (2, ["--only hold"])
    dry = memir("respond", lacking, *words[0].split())
    assert dry.code == 0 and f"SHA-256     {digest}, of the whole plan" in dry.out and "Detach" not in dry.out
    ran = memir("respond", lacking, *words[0].split(), "--execute", "--approve", digest, *rig.options)
    assert (ran.code, ran.err) == (0, "")
    said = [line.split()[0] for line in ran.out.splitlines() if line[:1].isupper()]
    assert said == ["DONE", "DONE", "Left", "Record"]
    assert "Left out    4 steps that --only does not name: go on with --resume" in ran.out
    lacking.unlink()
    filled = save_plan(whole, lacking)
    rest = memir("respond", lacking, "--resume", "--approve", filled, *rig.options, "--json")
    assert rest.code == 0 and rest.json()["left_out"] == []
    assert [row["outcome"] for row in rest.json()["steps"]] == ["done"] * 5 + ["left to you", "done"]


def test_a_surprise_is_told_and_what_is_kept_too(memir: Memir, rig: Rig) -> None:
    labels = rig.server.objects[f"/api/v1/namespaces/shop/pods/{shop.WEB}"]["metadata"]["labels"]
    labels["tier"] = "back"
    ran = memir("respond", rig.path, "--execute", "--approve", rig.digest, *rig.options)
    assert ran.code == 4 and "tier back is there, where the plan saw tier front" in ran.err
    labels = rig.server.objects[f"/api/v1/namespaces/shop/pods/{shop.WEB}"]["metadata"]["labels"]
    labels["memir/isolate"] = "theirs"
    ran = memir("respond", rig.path, "--undo", "--approve", rig.digest, *rig.options)
    assert ran.code == 4 and "KEPT" in ran.out and "someone has changed it since" in ran.out


def test_killed_and_gone_on_with(rig: Rig) -> None:
    """kill -9 while a request is on its way; then --resume."""
    held = {"left": 4}

    def hold(path: str) -> None:
        held["left"] -= 1
        if held["left"] == 0:
            process.send_signal(signal.SIGKILL)
            process.wait()

    rig.server.before_patch = hold
    words = [sys.executable, "-m", "memir", "respond", str(rig.path), "--approve", rig.digest, *rig.options]
    process = subprocess.Popen([*words, "--execute"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    events = [record["event"] for record in read_journal(rig.record)]
    assert events[-1] == "before"
    done = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "done before, as the record has it" in done.stdout
    assert rig.server.refused == []
    assert rig.server.objects[f"/api/v1/nodes/{shop.NODE}"]["spec"]["unschedulable"] is True


def test_each_step_is_asked_for_on_a_terminal(rig: Rig) -> None:
    out = terminal([sys.executable, "-m", "memir", "respond", str(rig.path), "--execute", *rig.options],
                   ["skip", "yes", "stop"])  # fmt: skip
    assert out.count("Do it? yes, skip or stop") == 3
    records = read_journal(rig.record)
    names = [record.get("step", record.get("change", "")).rpartition(".")[2] for record in records]
    assert list(zip([record["event"] for record in records], names, strict=True)) == [
        ("begin", ""), ("skipped", "internal"), ("before", "budget"), ("after", "budget"), ("before", "fields"),
        ("after", "fields"), ("stopped", f"isolate-pod-shop-{shop.WEB}"),
    ]  # fmt: skip
    assert "unschedulable" not in rig.server.objects[f"/api/v1/nodes/{shop.NODE}"]["spec"]


def terminal(words: list[str], answers: list[str]) -> str:
    """What a command prints on a terminal of its own, where a person answers."""
    pid, master = pty.fork()
    if pid == 0:
        os.execv(words[0], words)
    out, answered = b"", 0
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:  # the terminal's other side is closed
            break
        if not data:
            break
        out += data
        if out.count(b"Do it?") > answered and out.rstrip().endswith(b"[stop]:"):
            os.write(master, answers[answered].encode() + b"\n")
            answered += 1
            time.sleep(0.01)
    os.waitpid(pid, 0)
    os.close(master)
    return out.decode()


def test_register() -> None:
    assert registered(respond) == ["respond"]
