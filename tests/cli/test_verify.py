# SPDX-License-Identifier: Apache-2.0
"""`memir verify` on evidence and on a case: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import typer

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.local import LocalTransport
from memir.cli.verify import register, verify
from tests.acquire.rigs.noderig import NodeRig
from tests.acquire.rigs.nodes import small_node  # noqa: F401  (fixture)
from tests.cli.conftest import Memir


def acquired(node: NodeRig, folder: Path, tool: Path, key: Path | None = None) -> Path:
    options = Options(tool_path=tool, format="lime", context=False, sign_key=key, grace=5)
    Acquisition(LocalTransport(node.root), FileSink(folder), folder, options).execute()
    return folder


def test_evidence_unsigned_and_changed(memir: Memir, small_node: NodeRig, tmp_path: Path, avml: Path) -> None:  # noqa: F811
    evidence = acquired(small_node, tmp_path / "ev", avml)
    whole = memir("verify", evidence)
    assert (whole.code, whole.err) == (5, "")
    lines = whole.out.splitlines()
    assert lines[0].startswith("evidence of run ")
    assert ", transport local, " in lines[0]
    assert lines[-1] == f"{evidence}: holds, complete, unsigned"
    assert "signature: none: unsigned, anyone who holds the folder can make it again (--sign-key signs a run)" in lines
    image = evidence / "image.lime"
    image.write_bytes(image.read_bytes()[:-1])
    changed = memir("verify", evidence)
    assert changed.code == 3
    (wrong,) = [line for line in changed.out.splitlines() if line.startswith("WRONG image.lime part 1")]
    assert "1 bytes short" in wrong
    assert changed.out.splitlines()[-1].startswith(f"{evidence}: DOES NOT HOLD, ")
    ran = memir("verify", evidence, "--json")
    document = json.loads(ran.out)
    assert (ran.code, document["evidence"], document["complete"]) == (3, str(evidence), False)


def test_a_signature_and_what_is_expected(memir: Memir, small_node: NodeRig, tmp_path: Path, avml: Path) -> None:  # noqa: F811
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    evidence = acquired(small_node, tmp_path / "ev", avml, key)
    known = memir("verify", evidence, "--public-key", f"{key}.pub", "--expect", "transport=local", "--shallow")
    assert (known.code, known.out.splitlines()[-1]) == (0, f"{evidence}: holds, complete")
    assert "signature: trusted by " in known.out
    stranger = memir("verify", evidence)
    assert stranger.code == 0
    assert "(whose key that is, --public-key tells)" in stranger.out
    other = memir("verify", evidence, "--expect", "transport=ssh")
    assert (other.code, "transport" in other.out) == (3, True)


@pytest.mark.parametrize("words", ["transport", "case"])
def test_an_expectation_without_a_value(memir: Memir, tmp_path: Path, words: str) -> None:
    ran = memir("verify", tmp_path, "--expect", words)
    assert (ran.code, ran.out) == (2, "")
    assert f"--expect {words}: write NAME=VALUE" in ran.err


def test_no_evidence(memir: Memir, tmp_path: Path) -> None:
    ran = memir("verify", tmp_path)
    assert (ran.code, "has no manifest.jsonl" in ran.err) == (3, True)


def test_a_case(memir: Memir, analysed: Path) -> None:
    """Its seal is shown entry by entry; a changed table is named, and unsigned is no success."""
    case = analysed
    whole = memir("verify", case)
    lines = whole.out.splitlines()
    assert whole.code == 5
    assert lines[0].startswith("1  20")
    assert " wrote " in lines[0]
    assert "pods" in lines[0]
    assert lines[-1].startswith(f"{case}: holds, unsigned")
    document = json.loads(memir("verify", case, "--json").out)
    assert (document["holds"], document["signer"], document["problems"]) == (True, None, [])
    assert [entry["event"] for entry in document["chain"]] == ["analyze"]
    table = case / "tables" / "pods.parquet"
    table.write_bytes(table.read_bytes() + b"x")
    changed = memir("verify", case)
    assert changed.code == 3
    assert "WRONG tables/pods.parquet is not what was sealed: it was changed" in changed.out


def test_register() -> None:
    app = typer.Typer()
    register(app)
    assert [(command.name, command.callback) for command in app.registered_commands] == [("verify", verify)]
