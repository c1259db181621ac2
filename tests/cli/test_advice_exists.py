# SPDX-License-Identifier: Apache-2.0
"""What memir and its documents tell people to type is there: every verb and every option, by memir's own parser."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from memir.cli.main import VERBS, app

ROOT = Path(__file__).parents[2]
OPTION = re.compile(r"(?<![\w/-])--[a-z][a-z0-9-]*[a-z0-9]")
COMMAND = re.compile(r"(?:^|[`\s(])memir ((?:acquire|tools) )?([a-z][a-z-]+)([^`\n;|#]*)")
QUOTED = re.compile(r"`([^`\n]+)`")
PROGRAMS = (
    "aws", "kubectl", "ssh-keygen", "ssh", "ssh-add", "openssl", "makedumpfile", "dwarf2json", "virsh", "cargo",
    "vol", "pip", "docker", "ctr", "zensical", "debootstrap", "qemu-img", "tests/run", "bash", "containerd", "python",
)  # fmt: skip
"""Other programs that memir speaks of: their options are not memir's."""
SCRIPTS = ("memir/acquire/node/upload.py", "memir/acquire/sinks/s3/direct.py", "memir/acquire/tools/avml.py")
"""Their options are those of programs on the node: the uploader, the tool."""
OTHERS = {
    "memir/kube/node_identity.py": {"--hostname-override"}, "memir/volatility/run.py": {"--pids"},
    "memir/volatility/elf_dump.py": {"--dump"}, "memir/findings/detections/miner.py": {
        "--donate-level", "--nicehash", "--randomx", "--cpu-max-threads-hint",
    },
    "memir/kube/secrets.py": {"--password"}, "memir/respond/cluster.py": {"--enable-network-policy"},
    "memir/respond/steps/collect.py": {
        "--field-selector", "--all-containers", "--timestamps", "--prefix", "--previous",
    },
    "memir/kube/witness.py": {"--runtime-dir", "--name"},
    "memir/volatility/beside.py": {"--dump"},  # options of volatility3's plugins, and of vol
    "docs/guide/analyze.md": {"--output-directory"}, "docs/reference/volatility.md": {"--pids"},
    "docs/guide/hunt.md": {"--vmayarascan", "--count"},
    "docs/guide/report.md": {"--headless", "--no-pdf-header-footer", "--print-to-pdf"},  # chromium's
    "README.md": {"--all"}, "CONTRIBUTING.md": {"--all"},  # tests/run, and pytest's own below
    "docs/reference/testing.md": {"--scheme", "--all", "--cuts", "--every", "--lab", "--long", "--longer", "--write"},
    "docs/reference/acquisition.md": {"--avml", "--mib", "--apart", "--size"},  # the benchmarks'
    "docs/reference/speed.md": {"--runs"},  # the benchmarks'
    "docs/reference/release.md": {"--zstd"},  # release.oci_image
    "docs/reference/images.md": {"--compress", "--long"},  # avml and zstd
}  # fmt: skip
"""Options of others, by the file that names them."""


def parameters(command: Any) -> set[str]:
    return {word for each in command.params for word in (*each.opts, *each.secondary_opts)}


def verbs() -> dict[str, set[str]]:
    """Each verb, `acquire ssh` too, with its options."""
    group = get_command(app)
    answer: dict[str, set[str]] = {}
    for name in VERBS:
        command = group.get_command(None, name)  # type: ignore[attr-defined]  # a group
        answer[name] = parameters(command) | {"--help", "--debug"}
        for inner, below in getattr(command, "commands", {}).items():
            answer[f"{name} {inner}"] = parameters(below) | {"--help", "--debug"}
            answer[name] |= answer[f"{name} {inner}"]
    return answer


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module but its docstrings, what is filled in as {}."""
    tree = ast.parse(path.read_text())
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value


def texts() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "memir").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name not in SCRIPTS and "/node/" not in name:
            yield from ((f"{name}:{line}", text) for line, text in strings(path))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        lines = path.read_text().splitlines()
        yield from ((f"{path.relative_to(ROOT)}:{number}", line) for number, line in enumerate(lines, 1))


def others(text: str) -> str:
    """The text without what it quotes of other programs, and without lines that call them."""
    first = text.strip().split(" ")[0]
    if first in PROGRAMS or first.startswith(("$", "sudo")):
        return ""
    kept = QUOTED.sub(lambda match: "" if match[1].split(" ")[0] in PROGRAMS else match[0], text)
    return re.sub(rf"\b(?:{'|'.join(PROGRAMS)}) [^`;,.)]*", "", kept)


def test_every_option_that_is_named_is_there() -> None:
    known = {option for options in verbs().values() for option in options}
    known |= {"--version", "--install-completion", "--show-completion"}
    wrong = [
        f"{where}: {option}"
        for where, text in texts()
        for option in OPTION.findall(others(text))
        # a text that is nothing else is a word of a command that memir runs
        if option not in known and option != text.strip() and option not in OTHERS.get(where.split(":")[0], ())
    ]
    assert wrong == []


def test_every_command_that_is_named_is_there_with_its_options() -> None:
    known, wrong, count = verbs(), [], 0
    for where, text in texts():
        quoted = [match for match in QUOTED.findall(text) if match.startswith("memir ")]
        typed = [text.strip()] if text.startswith("    memir ") else []
        for command in [*quoted, *typed]:
            match = COMMAND.match(command)
            # the text that is signed begins with "memir manifest v1"
            if match is None or match[2] == "manifest":
                continue
            count += 1
            group = (match[1] or "").strip()
            name = f"{group} {match[2]}".strip()
            if name not in known and group and match[2] not in known:
                wrong.append(f"{where}: memir {name}")
                continue
            if name not in known:
                wrong.append(f"{where}: memir {name}")
                continue
            # a plugin's own options stand behind --
            rest = match[3].split(" -- ")[0]
            wrong += [f"{where}: memir {name} {word}" for word in OPTION.findall(rest) if word not in known[name]]
    assert count > 30
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "options"),
    [("pass --lock now", ["--lock"]), ("`aws x --key y` or --to", ["--to"]), ("a--b", []), ("(--via x)", ["--via"])],
)
def test_options_are_found_in_texts(text: str, options: list[str]) -> None:
    assert OPTION.findall(others(text)) == options
