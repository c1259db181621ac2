# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""`memir run`, `memir plugins-path`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memir.cli import run
from tests.cli.conftest import Memir, registered


def test_run_a_plugin(memir: Memir, raw_image: Path, analysed_once: tuple[Path, Any]) -> None:
    document = memir("run", "linux.pslist", raw_image, "--json").json()
    rows = {row["PID"]: row for row in document["rows"]}
    want = {row["pid"]: row for row in analysed_once[1]["rows"]["processes"]}
    assert rows.keys() == want.keys()
    assert document["failure"] is None
    for pid, row in rows.items():
        assert (row["PPID"], row["pod_name"], row["container_name"]) == (
            want[pid]["ppid"], want[pid]["pod_name"], want[pid]["container_name"]
        )  # fmt: skip


def test_swapped_arguments_are_understood(memir: Memir, raw_image: Path) -> None:
    ran = memir("run", raw_image, "linux.pslist", "--csv", "--limit", 2, "--", "--pid", 1, 190)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("OFFSET (V),PID,TID,PPID,COMM,")
    assert [line.split(",")[1] for line in lines[1:]] == ["1", "190"]


def test_other_outputs(memir: Memir, raw_image: Path, tmp_path: Path) -> None:
    shown = memir("run", "linux.elfs", raw_image, "-o", tmp_path / "out", "--", "--pid", 150, "--dump")
    lines = shown.out.splitlines()
    assert lines[0].split()[:2] == ["PID", "Process"]
    assert "2 rows" in lines
    assert lines[-1].startswith(f"written: {tmp_path / 'out'}/")
    ran = memir("run", "linux.pslist", raw_image, "--jsonl", "--", "--pid", 190)
    assert ran.json()["pod_name"] == "miner-0"


def test_programs_are_dumped(memir: Memir, raw_image: Path, tmp_path: Path) -> None:
    """Code of these lies in a segment of its own, which has no ELF header; one process has a slash in its name."""
    ran = memir("run", "linux.pslist", raw_image, "-o", tmp_path, "--json", "--", "--dump", "--pid", 189, 191, 2)
    assert (ran.code, ran.err) == (0, "")
    rows = {row["PID"]: row["File output"] for row in ran.json()["rows"]}
    assert rows == {2: None, 189: "pid.189.secretd.0x400000.dmp", 191: "pid.191.kworker_u8_3.0x400000.dmp"}
    for pid in (189, 191):
        data = (tmp_path / rows[pid]).read_bytes()
        assert data[:4] == b"\x7fELF"
        assert b"server up on %d" in data


def test_errors(memir: Memir, raw_image: Path) -> None:
    for words, message in (
        (["linux.pslst", raw_image], "linux.pslist.PsList"),
        (["linux.pslist", raw_image, "--", "--no-such-option"], "--no-such-option"),
        (["linux.pslist", raw_image, "--", "--dump"], "--dump writes files: say where, with -o FOLDER"),
        (["linux.pslist"], "memir run PLUGIN IMAGE: `memir run --list` lists the plugins"),
        ([], "memir run PLUGIN IMAGE"),
    ):
        ran = memir("run", *words)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err


def test_help_and_list(memir: Memir) -> None:
    own = memir("run", "--help")
    assert (own.code, own.err) == (0, "")
    assert "--plugin-dirs" in own.out
    plugin = memir("run", "linux.pslist", "--help")
    assert plugin.code == 0
    assert "--decorate-comm" in plugin.out
    assert "memir run linux.pslist IMAGE" in plugin.out
    listed = memir("run", "--list")
    assert any(line.startswith("linux.pods.Pods  ") for line in listed.out.splitlines())
    names = {row["plugin"] for row in memir("run", "--list", "--json").json()}
    assert names == {line.split()[0] for line in listed.out.splitlines()}


def test_plugins_path(memir: Memir) -> None:
    ran = memir("plugins-path")
    folder = Path(ran.out.rstrip("\n"))
    assert sorted(path.name for path in (folder / "linux").glob("*.py")) >= ["cgroups.py", "containerps.py"]
    assert not (folder / "__init__.py").exists()


def test_register() -> None:
    assert registered(run) == ["run", "plugins-path"]
