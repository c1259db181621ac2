# SPDX-License-Identifier: Apache-2.0
"""What is asked before a pod is made, by name and answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memir.acquire.transports.pod.check import RIGHTS, checks
from memir.acquire.transports.pod.spec import PodOptions, manifest
from memir.errors import AccessError, ConnectError

NODE = {"status": {"images": [{"names": ["registry.example/tools:1"]}]}}


def ask(denied: str = "", broken: bool = False, **options: Any) -> dict[str, tuple[str, str]]:
    """Checks by name, from an API server that denies one right and may be out of reach for the dry run."""
    requests: list[str] = []

    def call(action: str, where: str, method: str, path: str, **more: Any) -> dict[str, Any]:
        requests.append(f"{method} {path}")
        if path.endswith("selfsubjectaccessreviews"):
            wanted = more["body"]["spec"]["resourceAttributes"]
            right = " ".join(filter(None, (wanted["verb"], wanted["resource"], wanted["subresource"])))
            return {"status": {"allowed": right != denied}}
        if method == "POST":
            assert more["query"] == {"dryRun": "All"}
            if broken:
                raise ConnectError("no route")
            return {}
        if denied == "get nodes":
            raise AccessError("nodes is forbidden")
        return NODE

    chosen = PodOptions(image="registry.example/tools:1", **options)
    return {
        check.name: (check.level, check.detail)
        for check in checks(call, "node-1", chosen, manifest("node-1", "r", chosen))
    }


def test_all_is_well() -> None:
    answers = ask()
    assert set(answers.values()) == {
        ("ok", "allowed"), ("ok", "a dry run was accepted"), ("ok", "registry.example/tools:1 is on the node"),
    }  # fmt: skip
    assert len(answers) == len(RIGHTS) + 2


def test_a_right_that_is_missing() -> None:
    for verb in ("get", "create"):
        refused = ask(f"{verb} pods exec")[f"{verb} pods/exec"]
        assert refused == ("fail", f"{verb} pods/exec is not allowed in default")
    assert ask("get nodes")["image"] == ("warn", "nodes is forbidden")


def test_secrets_are_asked_for_with_the_helper_alone(tmp_path: Path) -> None:
    assert "create secrets" not in ask("create secrets")
    refused = ask("create secrets", helper=tmp_path / "helper")["create secrets"]
    assert refused == ("fail", "create secrets is not allowed in default")


def test_a_server_that_does_not_answer_the_dry_run() -> None:
    assert ask(broken=True)["admission of a privileged pod"] == ("warn", "no route")
