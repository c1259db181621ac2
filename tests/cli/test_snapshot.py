# SPDX-License-Identifier: Apache-2.0
"""`memir snapshot`: the folder, what it says, and what it says of a denial."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from memir.cli import snapshot
from tests.cli.conftest import Memir, registered
from tests.kubeapi.test_kinds import options, server  # noqa: F401  (fixtures)


def test_snapshot(memir: Memir, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    config = request.getfixturevalue("options").kubeconfig
    ran = memir("snapshot", "-o", tmp_path / "view", "--kubeconfig", config)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == f"memir analyze IMAGE -o CASE --cluster {tmp_path / 'view'}"
    assert ran.out.startswith(f"{tmp_path / 'view'}: ") and " as responder" in ran.out
    again = memir("snapshot", "-o", tmp_path / "view", "--kubeconfig", config)
    assert (again.code, "is not empty" in again.err) == (4, True)
    request.getfixturevalue("server").deny = {"list events"}
    denied = memir("snapshot", "-o", tmp_path / "part", "--kubeconfig", config)
    assert denied.code == 4 and "not read: events: 403" in denied.out and "--print-role" in denied.out
    document = memir("snapshot", "-o", tmp_path / "json", "--kubeconfig", config, "--json").json()
    assert document["counts"]["pods"] == 7 and document["unread"][0]["resource"] == "events"


def test_the_policy(memir: Memir) -> None:
    statement = memir("snapshot", "--permissions").json()["Statement"][0]
    assert {"eks:ListAccessEntries", "eks:ListPodIdentityAssociations"} <= set(statement["Action"])


def test_the_role(memir: Memir) -> None:
    text = memir("snapshot", "--print-role").out
    assert yaml.safe_load(text)["kind"] == "ClusterRole"
    assert memir("snapshot", "--print-role", "--json").json() == {"role": text}
    assert memir("snapshot").code == 2


def test_register() -> None:
    assert registered(snapshot) == ["snapshot"]
