# SPDX-License-Identifier: Apache-2.0
"""One container in one folder: every file under its hash, files as the truth has them, secrets masked in tables."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import memir
from memir.errors import UsageError
from memir.extract.container import container_named, extract_container
from memir.node import Node
from tests.images import cache, case, small_records
from tests.planted import PASSWORD, planted

IMAGE = "s-6.1-small"
SECRET = b"MEMIR-HEAP-SECRET-7f3a91c2e5d84b06"


@pytest.fixture(scope="module")
def node() -> Node:
    return memir.open(case(IMAGE).image, cache=cache())


@pytest.fixture(scope="module")
def copied(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy") / "miner"
    copy = extract_container(node, folder, "miner")
    assert (copy.title, copy.files, copy.holed, copy.processes) == ("dev/miner-0/miner", 19, 0, 4)
    return folder


def manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text())


def test_every_file_is_listed_under_its_hash(copied: Path) -> None:
    listed = {entry["file"]: entry["sha256"] for entry in manifest(copied)["written"]}
    there = {str(path.relative_to(copied)): path for path in copied.rglob("*") if path.is_file()}
    assert set(there) == {*listed, "manifest.json"}
    for name, digest in listed.items():
        assert hashlib.sha256(there[name].read_bytes()).hexdigest() == digest, name
    assert {name.split("/")[0] for name in listed} == {"rootfs", "memory", "tables", "spec.json"}


def test_files_are_those_of_the_recording(copied: Path) -> None:
    """The upper layer's files, hashed on the node seconds before; volumes; shared layers as far as cached."""
    own = next(pod for pod in small_records(case(IMAGE).truth)["pod"] if pod["container"] == "miner")
    told = {
        entry["file"].removeprefix(own["upper"]): entry["sha256"]
        for entry in small_records(case(IMAGE).truth)["upper"]
        if entry["file"].startswith(own["upper"] + "/")
    }
    upper = copied / "rootfs" / "upper"
    have = {f"/{path.relative_to(upper)}": hashlib.sha256(path.read_bytes()).hexdigest()
            for path in upper.rglob("*") if path.is_file()}  # fmt: skip
    assert told.items() <= have.items() and set(have) - set(told) == {"/tmp/dropper"}  # which was deleted
    assert (copied / "rootfs" / "lower" / "bin" / "busybox").read_bytes()[:4] == b"\x7fELF"
    token = copied / "rootfs" / "tmpfs" / "var" / "run" / "secrets" / "kubernetes.io" / "serviceaccount" / "token"
    assert token.read_bytes().startswith(b"eyJ")


def test_memory_spec_and_tables(copied: Path, node: Node) -> None:
    (core,) = copied.glob("memory/*-secretd.core")
    assert SECRET in core.read_bytes()
    spec = json.loads((copied / "spec.json").read_text())
    assert (spec["container_name"], spec["pod_name"], spec["args"]) == ("miner", "miner-0", ["/app/entry"])
    rows = [json.loads(line) for line in (copied / "tables" / "processes.jsonl").read_text().splitlines()]
    assert sorted(row["comm"] for row in rows) == ["dropper", "entry", "kworker/u8:3", "secretd"]
    drift = [json.loads(line) for line in (copied / "tables" / "drift.jsonl").read_text().splitlines()]
    assert sorted((row["container_path"], row["change"]) for row in drift) == [
        ("/tmp/.d", "created"), ("/tmp/dropper", "created"),
    ]  # fmt: skip
    mounts = [json.loads(line) for line in (copied / "tables" / "mounts.jsonl").read_text().splitlines()]
    whole = node["mounts"].where(container_id=manifest(copied)["container"]["container_id"])
    assert [row["mount_point"] for row in mounts] == whole["mount_point"]
    assert (copied / "tables" / "interfaces.jsonl").is_file()  # of its pod as a whole


def test_secrets_are_masked(tmp_path: Path) -> None:
    """A password in the environment: masked in spec and tables, in clear in memory alone."""
    with memir.open(planted(tmp_path / "node.raw"), cache=tmp_path / "cache") as opened:
        ident = container_named(opened, "miner")["container_id"]
        specs = opened.source.files.specs
        specs[ident] = replace(specs[ident], env=(f"DB_PASSWORD={PASSWORD}", "A=b"))
        extract_container(opened, tmp_path / "out", "miner")
    clear = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")
             if path.is_file() and PASSWORD.encode() in path.read_bytes()}  # fmt: skip
    assert clear and {name.split("/")[0] for name in clear} <= {"memory", "rootfs"}
    env = json.loads((tmp_path / "out" / "spec.json").read_text())["env"]
    assert env[0].startswith("DB_PASSWORD=") and env[1] == "A=b"
    assert "DB_PASSWORD=" in (tmp_path / "out" / "tables" / "processes.jsonl").read_text()


def test_names(node: Node, tmp_path: Path) -> None:
    ident = container_named(node, "miner")["container_id"]
    for name in (ident, ident[:6], ident[:4]):
        assert container_named(node, name)["container_name"] == "miner"
    with pytest.raises(UsageError, match="there is no container miners: the table containers has those"):
        container_named(node, "miners")
    with pytest.raises(UsageError, match="there is no container 9f6:"):
        container_named(node, ident[:3])
    with pytest.raises(UsageError, match="there is no container nobody"):
        extract_container(node, tmp_path / "none", "nobody")
    assert not (tmp_path / "none").exists()
