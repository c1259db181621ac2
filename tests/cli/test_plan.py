# SPDX-License-Identifier: Apache-2.0
"""`memir plan`: from a folder nothing is contacted; what is printed and what is written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from memir.cli import plan
from memir.respond import launch
from memir.respond.launch import save_plan
from tests.cli.conftest import Memir, registered
from tests.respond import shop
from tests.respond.worlds import without, world


def test_from_a_folder(memir: Memir, tmp_path: Path) -> None:
    folder, output = shop.folder(tmp_path / "cluster"), tmp_path / "plan.yaml"
    ran = memir("plan", "--pod", f"shop/{shop.WEB}", "--cluster", folder, "--evidence", "s3://ev1/case", "-o", output)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("Plan        memir-")
    assert f"Node        {shop.NODE}, i-0abc1234def567890, other" in lines
    assert f" 4. Take the RAM of node {shop.NODE} [acquire-{shop.NODE}]" in lines
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    assert f"Written     {output}, SHA-256 {digest}" in ran.out
    again = memir("plan", "--pod", f"shop/{shop.WEB}", "--cluster", folder, "-o", output)
    assert (again.code, again.out) == (2, "") and "exists already" in again.err


def test_without_a_kubeconfig(memir: Memir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what works without one: done as it says, it gives a plan."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    output = tmp_path / "plan.yaml"
    ran = memir("plan", "--pod", f"shop/{shop.WEB}", "-o", output)
    assert ran.code == 4 and "pass --kubeconfig, or --cluster and a folder with what was saved" in ran.err
    assert memir("plan", "--pod", f"shop/{shop.WEB}", "--cluster", shop.folder(tmp_path / "c"), "-o", output).code == 0


def test_what_is_no_plan(memir: Memir, tmp_path: Path) -> None:
    """An alert in the place of a plan; the command that the message names makes one of it."""
    from tests.respond.test_guardduty import EVENT

    alert = tmp_path / "an alert.json"
    alert.write_text(json.dumps(EVENT))
    for verb in (("respond", alert), ("plan", alert, "--check")):
        ran = memir(*verb)
        assert ran.code == 3 and "this is no plan: an alert is made into one by" in ran.err
        assert f"`memir plan --guardduty '{alert}' -o plan.yaml`" in ran.err
    folder = shop.folder(tmp_path / "cluster")
    assert memir("plan", "--guardduty", alert, "--cluster", folder, "-o", tmp_path / "plan.yaml").code == 0
    (tmp_path / "list").write_text("[1, 2]")
    assert "`memir plan ... -o plan.yaml` writes one" in memir("respond", tmp_path / "list").err
    printed = tmp_path / "printed.json"
    printed.write_text(memir("respond", tmp_path / "plan.yaml", "--json").out)
    assert "it is what --json prints of one" in memir("respond", printed).err


def test_json(memir: Memir, tmp_path: Path) -> None:
    folder, output = shop.folder(tmp_path / "cluster"), tmp_path / "plan.yaml"
    document = memir(
        "plan", "--workload", "shop/Deployment/web", "--cluster", folder, "-o", output, "--json", "--by", "pod",
        "--order", "aws",
    ).json()  # fmt: skip
    assert (document["plan"], document["document"]["order"]) == (str(output), "aws")
    assert [pod["name"] for pod in document["document"]["pods"]] == [shop.WEB, "web-7bf68f75d5-rqltp"]
    assert document["document"]["steps"][0]["kind"] == "isolate-pod"


def test_what_is_refused(memir: Memir, tmp_path: Path) -> None:
    folder = shop.folder(tmp_path / "cluster")
    for words, message in (
        (("--pod", "shop/none"), "where does the plan go? -o plan.yaml"),
        ((), "whom is the plan for?"),
        (("--guardduty", tmp_path / "no"), "cannot be read: No such file"),  # before the missing -o
        (("--pod", "a/b", "--cluster", tmp_path / "no"), "No such file"),
        (("-o", tmp_path / "p"), "whom is the plan for?"),
        (("-o", tmp_path / "p", "--pod", "shop/none", "--cluster", folder), "--pod shop/none: no pod of the cluster's"),
        (("-o", tmp_path / "p", "--guardduty", tmp_path / "no", "--cluster", folder), "cannot be read: No such file"),
    ):
        ran = memir("plan", *words)
        assert ran.code in (2, 3) and message in ran.err
    assert not (tmp_path / "p").exists()


def test_from_an_alert(memir: Memir, tmp_path: Path) -> None:
    from tests.respond.test_guardduty import EVENT

    (tmp_path / "alert.json").write_text(json.dumps(EVENT))
    folder, output = shop.folder(tmp_path / "cluster"), tmp_path / "plan.yaml"
    ran = memir("plan", "--guardduty", tmp_path / "alert.json", "--cluster", folder, "-o", output)
    assert ran.code == 0
    assert f"Isolate pod shop/{shop.WEB}" in ran.out


def test_a_plan_that_is_there(memir: Memir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--check prints each right; a fact that nobody tells, or a right that is denied, ends with 4."""
    output, server = tmp_path / "plan.yaml", shop.server()
    save_plan(without(shop.plan(tmp_path / "c"), "acquire", "collect"), output)
    monkeypatch.setattr(launch, "world_of", lambda plan, kube, connection: world(plan, server))
    monkeypatch.setenv("COLUMNS", "160")
    ran = memir("plan", output, "--check")
    assert (ran.code, ran.err) == (0, "")
    assert "allowed    patch pods in shop" in ran.out.splitlines()
    server.deny = {"patch pods"}
    ran = memir("plan", output, "--check", "--json")
    denied = [row["right"] for row in ran.json()["rights"] if row["answer"] == "denied"]
    assert (ran.code, denied) == (4, ["patch pods in shop"])
    for words, message in (
        ((output,), "is checked with --check"), ((output, "--check", "--pod", "a/b"), "says already whom it is for"),
    ):  # fmt: skip
        ran = memir("plan", *words)
        assert ran.code == 2 and message in ran.err


def test_register() -> None:
    assert registered(plan) == ["plan"]
