# SPDX-License-Identifier: Apache-2.0
"""The command line as a user runs it, in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memir.acquire.settings import Shared
from memir.acquire.tools.store import RELEASES
from memir.acquire.transports.registry import TRANSPORTS
from tests.acquire.rigs.noderig import NodeRig
from tests.acquire.rigs.runs import clean, clean_but_sshd
from tests.acquire.rigs.sshd import Sshd
from tests.acquire.rigs.wait import until

ROOT = Path(__file__).resolve().parents[2]
CODE = "from memir.cli.main import main; main()"


def memir(*arguments: str, tools: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MEMIR_TOOLS": str(tools)}
    return subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=False,
                          cwd=cwd, env=environment, timeout=900)  # fmt: skip


def test_from_tool_to_verified_evidence(sshd: Sshd, node: NodeRig, tmp_path: Path, avml: Path) -> None:
    tools = tmp_path / "tools"
    empty = memir("tools", "list", tools=tools, cwd=tmp_path)
    assert (empty.returncode, empty.stdout) == (0, "")
    assert empty.stderr == (
        f"no tool is in {tools} yet: `memir tools add FILE` with AVML's program from {RELEASES}, or"
        " `memir tools build avml`\n"
    )
    early = memir("acquire", "local", "--root", str(node.root), "--dry-run", tools=tools, cwd=tmp_path)
    assert early.returncode == 4 and early.stdout.splitlines()[-1].startswith("1 check failed (tool): a run would be")
    assert "the tool (AVML; LiME" in early.stdout and "Traces:" in early.stdout
    added = memir("tools", "add", str(avml), "--version", "0.21.0", "--json", tools=tools, cwd=tmp_path)
    assert json.loads(added.stdout)[0]["machine"] == "x86_64"
    assert memir("tools", "verify", tools=tools, cwd=tmp_path).returncode == 0
    assert "avml 0.21.0" in memir("tools", "list", tools=tools, cwd=tmp_path).stdout
    reach = ["acquire", "ssh", "root@127.0.0.1", "--port", str(sshd.port), "--identity", str(sshd.client_key),
             "--known-hosts", str(sshd.known_hosts)]  # fmt: skip
    plan = memir(*reach, "--dry-run", tools=tools, cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert "Steps:" in plan.stdout
    assert "(changes the node)" in plan.stdout
    assert "the SSH login" in plan.stdout
    assert node.left() == []
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("memir-")) == []
    done = memir(*reach, "-o", "ev", "--json", "--no-context", tools=tools, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    receipt = json.loads(done.stdout)
    assert receipt["status"] == "complete"
    assert receipt["tool"]["version"] == "0.21.0"
    checked = memir("verify", "ev", "--json", tools=tools, cwd=tmp_path)
    assert (checked.returncode, json.loads(checked.stdout)["complete"]) == (5, True)
    image = tmp_path / "ev" / "image.avml"
    image.write_bytes(image.read_bytes()[:-1])
    broken = memir("verify", "ev", tools=tools, cwd=tmp_path)
    assert broken.returncode == 3
    assert "WRONG image.avml part 1" in broken.stdout
    assert "DOES NOT HOLD" in broken.stdout
    assert clean_but_sshd(node)


def test_partial_is_exit_4_and_one_json_document(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    whole = (node.root / "proc/kcore").read_bytes()
    (node.root / "proc/kcore").write_bytes(whole[: 20 << 20])
    done = memir("acquire", "local", "--root", str(node.root), "--tool-path", str(avml), "-o", "ev", "--json",
                 "--no-context", tools=tmp_path / "none", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 4
    assert json.loads(done.stdout)["status"] == "partial"
    assert memir("verify", "ev", tools=tmp_path, cwd=tmp_path).returncode == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_is_exit_130_with_the_rest_kept(
    node: NodeRig, tmp_path: Path, avml: Path, number: signal.Signals
) -> None:  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # whoever runs the tests in the background may ignore these, and children inherit that
    heed = "import signal; signal.signal(2, signal.default_int_handler)"
    heed += "; [signal.signal(one, signal.SIG_DFL) for one in (signal.SIGTERM, signal.SIGHUP)]; "
    process = subprocess.Popen(
        [sys.executable, "-c", heed + CODE, "acquire", "local", "--root", str(node.root), "--tool-path", str(avml),
         "-o", "ev", "--format", "lime", "--no-context", "--limit-rate", "4M"],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    image = tmp_path / "ev/image.lime.partial"
    until(lambda: image.exists() and image.stat().st_size > 1 << 20, process.poll)
    process.send_signal(number)
    _, error = process.communicate(timeout=600)
    assert process.returncode == 130, error
    assert "interrupted" in error
    assert json.loads((tmp_path / "ev/receipt.json").read_bytes())["status"] == "interrupted"
    assert image.stat().st_size > 1 << 20
    assert clean(node)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["acquire", "local", "--tool", "dd"], "write avml, lime or auto"),
        (["acquire", "local", "--format", "raw"], "raw has no addresses"),
        (["acquire", "local", "--limit-rate", "fast"], "is no rate"),
        (["acquire", "local", "-o", "a", "--to", "b"], "give the evidence folder once"),
        (["acquire", "ssm", "--instance-id", "i-1", "-o", "x"], "pass --to s3://BUCKET/PREFIX"),
        (["acquire", "ssm", "--to", "s3://bucket/x"], "which instance"),
        (["acquire", "pod"], "which node"),
        (["tools", "build", "lime"], "give --headers"),
        (["tools", "build", "dd"], "write avml, helper or lime"),
    ],
)
def test_wrong_words_are_exit_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = memir(*arguments, tools=tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_verb_takes_the_shared_options_and_its_own(tmp_path: Path) -> None:
    """verb() makes them from the dataclasses; register() adds them; close() is beside them."""
    for name, options in TRANSPORTS.items():
        text = memir("acquire", name, "--help", tools=tmp_path, cwd=tmp_path).stdout
        fields = [*dataclasses.fields(options), *dataclasses.fields(Shared)]
        for field in fields:
            flags = field.metadata.get("flags") or (f"--{field.name.replace('_', '-')}",)
            assert field.metadata.get("argument") or flags[0] in text, (name, field.name)


def test_close_says_what_there_is_to_close(tmp_path: Path) -> None:
    done = memir("acquire", "close", str(tmp_path), tools=tmp_path, cwd=tmp_path)
    assert (done.returncode, "is no evidence folder" in done.stderr) == (2, True)
