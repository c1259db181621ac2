# SPDX-License-Identifier: Apache-2.0
"""A checkpoint archive with the face of a node: by the library and by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import memir
from memir.checkpoint_node import CheckpointNode, DumpedMemory, open_checkpoint
from memir.cli.main import app
from memir.errors import UsageError
from tests.checkpoint.sample import CONTAINER, archive, members, pack

CASE_TABLES = {
    "checkpoints",
    "containers",
    "files",
    "findings",
    "mounts",
    "pods",
    "processes",
    "sockets",
    "threads",
    "vmas",
}


def test_memir_open_reads_an_archive(tmp_path: Path) -> None:
    with memir.open(archive()) as node:
        assert isinstance(node, CheckpointNode)
        assert set(node.tables) == CASE_TABLES
        assert repr(node) == f"<memir.Node, checkpoint of shop/web-7d9f/web, {archive()}>"
        assert node.sql("select count(*) as n from processes where pod_name = 'web-7d9f'")["n"] == [8]
        assert {row["kind"] for row in node.findings} == {"shell-on-socket", "unexpected-listener"}
        assert node.coverage.whole
        assert node.coverage.text().startswith("100.0 % of the memory that CRIU dumped is in the archive (544,768 of")
        assert node.identity.clock == node.source.container.taken
        assert node.identity.sha256 == node.memory.sha256()
        lacks = next(gap for gap in node.gaps if gap.kind == "table")
        assert "namespaces" in lacks.where
        assert lacks.count == len(lacks.where.split(", "))
        case = node.save(tmp_path / "case")
        assert case["processes"].num_rows == 8
    with pytest.raises(memir.errors.CaseError):
        memir.open(archive()).save(tmp_path / "case")


def test_options_of_ram_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--btf: .* is a checkpoint archive, which has no kernel"):
        memir.open(archive(), btf="vmlinux")
    with pytest.raises(UsageError, match="--cluster"):
        open_checkpoint(archive(), unused={"base": None, "cluster": "pods.json"})


def test_coverage_of_a_cut_archive(tmp_path: Path) -> None:
    files = {**members(), "checkpoint/pages-1.img": members()["checkpoint/pages-1.img"][:4096]}
    with memir.open(pack(tmp_path / "a.tar", files)) as node:
        lost = len(members()["checkpoint/pages-1.img"]) - 4096
        assert (node.coverage.whole, node.coverage.total - node.coverage.present) == (False, lost)
        assert "100.0 %" not in node.coverage.text()
    assert DumpedMemory(0, 0, (), "page maps", {}).share == 1.0


def test_analyze_then_hunt_into_one_case(tmp_path: Path) -> None:
    run, case = CliRunner(), str(tmp_path / "case")
    told = run.invoke(app, ["analyze", str(archive()), "-o", case])
    assert told.exit_code == 0, told.output
    assert "Evidence    " + str(archive()) + " (kubelet checkpoint)" in told.output
    assert "8 processes in 1 container" in told.output
    assert "hidden-task" not in told.output.split("Not looked for")[0]
    assert "the node itself" not in told.output
    rule = tmp_path / "m.yar"
    rule.write_text('rule marker { strings: $a = "MEMIR-MARKER-42-IN-HEAP" condition: $a }')
    told = run.invoke(app, ["hunt", str(archive()), "-r", str(rule), "-o", case, "--json"])
    document = json.loads(told.stdout)
    assert told.exit_code == 0
    assert {row["container_id"] for row in document["hits"]} == {CONTAINER}
    record = json.loads((tmp_path / "case/case.json").read_text())
    assert record["tables"]["hits"] == len(document["hits"]) > 0
    assert record["evidence"]["format"] == "kubelet checkpoint"
    assert record["kernel"] is None
    assert run.invoke(app, ["verify", case]).exit_code == 5
    assert run.invoke(app, ["report", case]).exit_code == 0
    told = run.invoke(app, ["findings", case])
    assert told.exit_code == 0
    assert "shell-on-socket" in told.output


@pytest.mark.parametrize(
    ("files", "code", "why"),
    [
        ({"checkpoint/inventory.img": bytes.fromhex("1631315802000000") + b"\x08\x09"}, 3, "of version 9"),
        ({"spec.dump": b"no"}, 3, "spec.dump is no OCI spec"),
        ({"checkpoint/pages-1.img": b""}, 3, "% of the memory that CRIU dumped is in the archive"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, files: dict[str, bytes], code: int, why: str) -> None:
    path = pack(tmp_path / "a.tar", {**members(), **files})
    told = CliRunner().invoke(app, ["analyze", str(path)])
    error = told.exception
    assert (error.exit_code if isinstance(error, memir.errors.MemirError) else told.exit_code) == code
    text = str(error) if isinstance(error, memir.errors.MemirError) else told.output
    assert why in text
    assert isinstance(error, SystemExit) or "\n" not in text
