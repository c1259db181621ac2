# SPDX-License-Identifier: Apache-2.0
"""Every command that a message of memir's names is done by a test, or stands here with the reason why not."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.images import ROOT

TESTS = ROOT / "tests"
DONE = {
    "memir verify": "cli/test_killed_run.py", "memir acquire close": "cli/test_killed_run.py",
    "memir tools build helper": "cli/test_next_steps_acquire.py", "memir tools add": "cli/test_next_steps_acquire.py",
    "chmod": "cli/test_next_steps_acquire.py", "openssl genpkey": "cli/test_next_steps_acquire.py",
    "memir analyze": "cli/test_next_steps_case.py", "memir query": "cli/test_next_steps_case.py",
    "memir run --list": "cli/test_next_steps_case.py", "tar": "cli/test_next_steps.py",
    "unzip": "cli/test_next_steps.py", "zstd -d": "cli/test_next_steps.py",
    "7z x": "cli/test_next_steps.py", "makedumpfile": "cli/test_next_steps.py",
    "ssh-add": "acquire/transports/ssh/test_identities.py", "ssh-keygen -R": "acquire/transports/ssh/test_host_key.py",
    "memir findings": "cli/test_findings.py", "memir info": "cli/test_info.py", "memir hunt": "cli/test_hunt.py",
    "memir acquire": "cli/test_acquire.py", "memir run": "cli/test_run.py", "memir plan": "cli/test_plan.py",
    "memir snapshot": "cli/test_snapshot.py", "memir extract files": "cli/test_extract.py",
    "memir ask": "cli/test_ask.py", "memir fetch-logs": "cli/test_fetch_logs.py",
    "memir respond": "cli/test_respond.py", "memir collect pod": "cli/test_collect.py",
    "memir collect close": "cli/test_collect.py", "memir collect fargate": "cli/test_collect_fargate.py",
    "memir collect ecs": "cli/test_collect_ecs.py",
}  # fmt: skip
"""Command, and the test that does it."""

NOT_DONE = {
    "memir tools build avml": "takes minutes of cargo; the fixture avml is made by the function that it calls",
    "memir tools build lime": "needs a kernel's headers; acquire/tools/test_build.py runs make on a small Makefile",
    "virsh dump": "needs libvirt and a machine of its own; virsh(1): dump domain corefilepath --memory-only",
    "dump-guest-memory": "a command of the monitor of a QEMU machine, which the quick run does not start",
    "-S -incoming": "options of QEMU for a stored stream, as in qemu(1)",
    "dwarf2json linux": "has no Debian package; as in its README: dwarf2json linux --elf [vmlinux path]",
    "kubectl get": "needs an API server; its options are asked below where kubectl is there",
    "aws s3api list-parts": "needs AWS; options as in its reference: --bucket, --key, --upload-id",
    "aws s3 cp": "needs the AWS CLI; collect/test_run_s3.py copies the same objects to the same names with boto3",
    "aws ssm start-session": "needs AWS and its Session Manager plugin; options as in its reference: --document-name",
    "ssh -G": "only shows settings; memir's reading is held against it in tests/acquire/transports/ssh",
}
"""Command, and why no test does it."""

NO_ADVICE = (
    "jq -c",  # what writes one large JSON document as lines
    "sudo -n", "id -u", "address type name", "vol ", "--", "Match", "privileged: true", "name soft hard",
    "python -m memir.tables.reference", "python -m memir.findings.reference",
    "place of the process", "with NAME as", "witness=", "timestamp[", "ipv4 LOCAL_IN", "cgroup device /", "xdp eth0",
    "socket reuseport", "socket fanout", "tc action",
)  # fmt: skip
"""What stands in backquotes and is not for the reader to type: what was run on a node, forms, options."""
PROGRAMS = tuple(
    {command.split(" ")[0] for command in (*DONE, *NOT_DONE)} | {"gunzip", "zstd", "xz", "qemu-img", "ctr"}
)


def commands() -> Iterator[tuple[str, str]]:
    """(where, command) of every text in backquotes that begins with a program; documentation in the code left out."""
    for path in sorted((ROOT / "memir").rglob("*.py")):
        tree = ast.parse(path.read_text())
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
                text = node.value
            else:
                continue
            if id(node) not in documentation:
                quoted = re.findall(r"`([^`\n]+)`", text)
                yield from ((f"{path.relative_to(ROOT)}:{node.lineno}", each) for each in quoted)


def test_every_command_is_done_or_listed() -> None:
    named = list(commands())
    assert len(named) > 30
    known = (*DONE, *NOT_DONE)
    advice = [(where, command) for where, command in named if command.split(" ")[0] in PROGRAMS]
    assert [(where, command) for where, command in advice if not command.startswith(known)] == []
    others = {command for _, command in named if command.split(" ")[0] not in PROGRAMS}
    assert {command for command in others if " " in command and not command.startswith(NO_ADVICE)} == set()


@pytest.mark.parametrize("command", DONE)
def test_the_test_that_is_named_does_it(command: str) -> None:
    text = (TESTS / DONE[command]).read_text()
    words = command.removeprefix("memir ").split(" ")
    assert re.search(r"[\W]+".join(map(re.escape, words)), text), command


ASKED = {
    "kubectl get nodes -l a=b": ("kubectl", ["get", "--help"], ("--selector", "-l")),
    "kubectl get pods -A -o json": ("kubectl", ["get", "--help"], ("--all-namespaces", "-A", "-o", "json")),
    "makedumpfile --reassemble": ("makedumpfile", ["--help"], ("--reassemble",)),
    "openssl genpkey": ("openssl", ["genpkey", "-help"], ("-algorithm", "-out")),
    "7z x": ("7z", ["--help"], ("x : eXtract",)),
}


@pytest.mark.parametrize("command", ASKED)
def test_the_program_itself_knows_the_options(command: str) -> None:
    name, words, options = ASKED[command]
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if program is None:
        assert name == "kubectl", f"please install {name}"  # no Debian package: asked where it is there
        pytest.skip("kubectl has no Debian package")
    shown = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=60)
    assert [option for option in options if option not in shown.stdout + shown.stderr] == []
