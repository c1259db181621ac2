# SPDX-License-Identifier: Apache-2.0
"""What runs on the node is in files that a plain sh, and Python 3.6, can read; none of it is in strings."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import memir.acquire
from memir.acquire.node_files import node_script, node_text

ACQUIRE = Path(memir.acquire.__file__).parent
NODE = ACQUIRE / "node"
SHELL = sorted(path.name for path in NODE.glob("*.sh"))
PYTHON = sorted(path.name for path in NODE.glob("*.py"))
OLD_PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.6*/bin/python"))
SHELLS = [name for name in ("sh", "dash", "busybox") if shutil.which(name)]


@pytest.mark.parametrize("name", SHELL)
def test_scripts_are_plain_sh(name: str) -> None:
    for shell in ["bash"] if name == "upload.sh" else SHELLS:
        words = [shell, "sh"] if shell == "busybox" else [shell]
        subprocess.run([*words, "-n"], input=node_text(name).encode(), check=True)


@pytest.mark.parametrize("name", SHELL)
def test_a_script_says_what_it_takes(name: str) -> None:
    head = node_text(name).splitlines()
    assert head[0] == "# SPDX-License-Identifier: Apache-2.0"
    assert head[1].startswith("# ")


@pytest.mark.parametrize("name", PYTHON)
def test_programs_are_python_36(name: str) -> None:
    tree = ast.parse(node_text(name), feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    # the standard library, and what the uploader's archive holds beside it
    assert {module for module in imported if module.startswith("memir")} <= {
        "memir.acquire.node.http", "memir.acquire.node.parts"
    }  # fmt: skip
    # its annotations came with 3.7
    assert "__future__" not in imported
    for old in OLD_PYTHONS:
        compiled = "import sys; compile(sys.stdin.read(), sys.argv[1], 'exec')"
        subprocess.run([old, "-I", "-c", compiled, name], input=node_text(name).encode(), check=True)


def test_variables_are_set_before_the_scripts_and_quoted() -> None:
    script = node_script("probe", "at_work", DIR="/dev/shm/it's", LIMIT=7)
    assert script.startswith("DIR='/dev/shm/it'\"'\"'s'\nLIMIT=7\n# SPDX")
    assert script == script[: script.index("# SPDX")] + node_text("probe.sh") + "\n" + node_text("at_work.sh")


def test_a_copy_is_whole_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"12345")
    for limit, size in ((10, b"5"), (3, b"3")):
        script = node_script("copy", FILE=str(tmp_path / "a b"), COPY=str(tmp_path / "copy"), LIMIT=limit)
        copied = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
        assert copied.stdout.split()[0] == size
    assert (tmp_path / "copy").read_bytes() == b"123"
    gone = node_script("copy", FILE=str(tmp_path / "gone"), COPY=str(tmp_path / "copy"), LIMIT=1)
    assert subprocess.run(["sh", "-c", gone], capture_output=True, check=False).returncode == 1
    assert not (tmp_path / "copy").exists()


def test_a_pods_keeper_ends_when_nobody_touches_its_file() -> None:
    keeper = subprocess.run(["sh", "-c", node_script("keep", GRACE=0)], timeout=20, check=False)
    assert keeper.returncode == 0


@pytest.mark.parametrize(
    "path", [path for path in sorted(ACQUIRE.rglob("*.py")) if path.parent != NODE],
    ids=lambda path: str(path.relative_to(ACQUIRE)),
)  # fmt: skip
def test_no_program_is_in_a_string(path: Path) -> None:
    """A string of several lines that is no docstring, in which a shell's or Python's words begin a line."""
    tree = ast.parse(path.read_text())
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            words = r"(?m)^\s*(if|for|while|case|import|def|trap|done|fi)\b"
            assert node.value.count("\n") < 2 or not re.search(words, node.value), f"{path}:{node.lineno}"
