# SPDX-License-Identifier: Apache-2.0
"""What an acquisition of one node, of many, and a dry run print, and with which code they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.settings import Shared
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.local import LocalTransport
from memir.cli.acquire_print import go, reporter, show_complete, show_plan
from memir.errors import PartialError
from memir.evidence.plan import Check, Plan, Step, Trace
from memir.evidence.progress import Progress, Report
from memir.report.progress import ProgressLine
from tests.acquire.rigs.noderig import NodeRig
from tests.acquire.rigs.nodes import LOW, SMALL, MakeNode

Make = Callable[[str, Report], Acquisition]


@pytest.fixture
def nodes(make_node: MakeNode) -> dict[str, NodeRig]:
    """Two nodes; the second one's RAM ends before what its list of memory says."""
    made = {name: make_node(LOW, SMALL) for name in ("whole", "torn")}
    kcore = made["torn"].root / "proc/kcore"
    kcore.write_bytes(kcore.read_bytes()[: 1 << 20])
    return made


@pytest.fixture
def make(nodes: dict[str, NodeRig], tmp_path: Path, avml: Path) -> Make:
    def acquisition(name: str, report: Report) -> Acquisition:
        folder = tmp_path / name
        options = Options(tool_path=avml, format="lime", context=False, grace=5)
        return Acquisition(LocalTransport(nodes[name].root), FileSink(folder), folder, options, report=report)

    return acquisition


def test_one_node_for_people(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(Shared(), ["whole"], make)
    first, second, *notes = capsys.readouterr().out.splitlines()
    size = (tmp_path / "whole/image.lime").stat().st_size
    assert first.startswith(f"complete: {tmp_path / 'whole'}/image.lime, {size:,} bytes, SHA-256 ")
    assert second.startswith("avml 0.21.0, ")
    assert all(line.startswith("note: ") for line in notes)


def test_one_node_as_json_whole_and_partial(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    go(Shared(as_json=True), ["whole"], make)
    assert json.loads(capsys.readouterr().out)["status"] == "complete"
    with pytest.raises(typer.Exit) as ended:
        go(Shared(as_json=True), ["torn"], make)
    assert ended.value.exit_code == 4
    assert json.loads(capsys.readouterr().out)["status"] == "partial"


def test_one_partial_node_for_people_is_its_error(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PartialError):
        go(Shared(), ["torn"], make)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_many_nodes(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    """Each node has its line or row, and the worst one's code is the end's."""
    with pytest.raises(typer.Exit) as ended:
        go(Shared(as_json=as_json), ["whole", "torn"], make)
    assert ended.value.exit_code == 4
    out = capsys.readouterr().out
    if as_json:
        whole, torn = json.loads(out)["nodes"]
        assert (whole["node"], whole["error"], whole["exit_code"]) == ("whole", None, 0)
        assert (torn["node"], torn["exit_code"], torn["receipt"]) == ("torn", 4, None)
        assert whole["receipt"]["status"] == "complete"
    else:
        whole, torn = out.splitlines()
        assert whole == f"whole: complete, {tmp_path / 'whole'}"
        assert torn.startswith("torn: ")


def test_a_dry_run_changes_nothing(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(Shared(dry_run=True), ["whole"], make)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Checks (nothing was changed):"
    assert lines.index("Steps:") < lines.index("Traces:")
    assert not (tmp_path / "whole").exists()
    go(Shared(dry_run=True, as_json=True), ["whole"], make)
    document = json.loads(capsys.readouterr().out)
    assert document["evidence"] == str(tmp_path / "whole")
    assert {check["level"] for check in document["checks"]} <= {"ok", "warn"}


def test_a_dry_run_that_would_fail(
    make: Make, nodes: dict[str, NodeRig], capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    (nodes["torn"].root / "proc/kcore").unlink()
    with pytest.raises(typer.Exit) as ended:
        go(Shared(dry_run=True, as_json=True), ["whole", "torn"], make)
    assert ended.value.exit_code == 4
    levels = [{check["level"] for check in run["checks"]} for run in json.loads(capsys.readouterr().out)]
    assert ["fail" in found for found in levels] == [False, True]


def test_show_plan(capsys: pytest.CaptureFixture[str]) -> None:
    checks = (Check("lockdown", "ok", "none", "unseen"), Check("/dev/shm", "warn", "noexec", "remount\x1b[2J it"))
    steps = (Step("look", "node"), Step("write", "node", changes=True), Step("make a pod", "kubernetes", changes=True))
    traces = (Trace("journal", "the login"), Trace("/dev/shm", "the tool", stays=False))
    show_plan(Plan(steps, traces, ("slow",)), checks)
    assert capsys.readouterr().out.splitlines() == [
        "Checks (nothing was changed):",
        "  ok   lockdown: none",
        "  warn /dev/shm: noexec -> remount\\e[2J it",
        "Steps:",
        "   1 [node] look",
        "   2 [node] write (changes the node)",
        "   3 [kubernetes] make a pod (changes something there)",
        "Traces:",
        "  journal: the login",
        "  /dev/shm: the tool (does not stay)",
        "Warning: slow",
        "No check failed: a run would go on from here; nothing was changed",
    ]
    wrong = (Check("root", "fail", "no"), Check("tool", "fail", "none"))
    show_plan(Plan(steps, traces, ()), wrong, ["the \x1bnode"])
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Not asked: the \\enode",
        "2 checks failed (root, tool): a run would be refused; nothing was changed",
    ]


def test_show_complete_in_s3(capsys: pytest.CaptureFixture[str]) -> None:
    receipt: dict[str, Any] = {
        "image": {"where": "s3://bucket/ev/image.avml", "size": 12345, "sha256": "ab" * 32},
        "tool": {"tool": "avml", "version": "0.21.0"}, "seconds": 1.26, "banner": "Linux version 6.1",
        "notes": ["a note"], "left_on_node": ["/dev/shm/x"],
    }  # fmt: skip
    show_complete(Path("ev"), receipt)
    assert capsys.readouterr().out.splitlines() == [
        f"complete: s3://bucket/ev/image.avml, recorded in ev, 12,345 bytes, SHA-256 {'ab' * 32}",
        "avml 0.21.0, 1.3 s; Linux version 6.1",
        "note: a note",
        "note: /dev/shm/x",
    ]


def test_reporter_needs_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLine() as line:
        reporter(line)("node-1", Progress(5, 10, 1.0, "ram"))
    assert capsys.readouterr().err == ""
