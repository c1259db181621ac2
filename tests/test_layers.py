"""Each folder imports only what the design lets it import."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "errors": set(),
    "text": {"errors"},
    "gaps": set(),
    "image": {"errors"},
    "symbols": {"errors", "image"},
    "kernel": {"errors", "image", "symbols"},
    "kube": {"errors", "image", "symbols", "kernel"},
    "tables": {"errors", "image", "symbols", "kernel", "kube"},
    "hunt": {"errors", "image", "symbols", "kernel", "kube", "tables"},
    "findings": {"errors", "image", "symbols", "kernel", "kube", "tables"},
    "report": {"errors", "image", "symbols", "kernel", "kube", "tables", "hunt", "findings"},
    "volatility": {"errors", "image", "symbols", "kernel", "kube", "tables", "hunt"},
    "acquire": {"errors", "image"},
}
ONLY_IN = {
    "volatility3": {"volatility", "plugins"},
    "yara": {"hunt"},
    "paramiko": {"acquire"},
    "boto3": {"acquire", "image"},
}


def modules() -> list[tuple[str, Path]]:
    found = [
        (path.relative_to(ROOT / "memir").parts[0].removesuffix(".py"), path)
        for path in sorted((ROOT / "memir").rglob("*.py"))
    ]
    return found + [("plugins", path) for path in sorted((ROOT / "plugins").rglob("*.py"))]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_imports_go_one_way(folder: str) -> None:
    allowed = MAY_IMPORT[folder] | {folder, "text", "gaps"}
    for part, path in modules():
        if part != folder:
            continue
        for name in imported(path):
            head, _, rest = name.partition(".")
            if head == "memir":
                inner = rest.split(".")[0]
                assert inner in allowed or inner == "__version__", f"{path.relative_to(ROOT)} imports memir.{rest}"


def test_heavy_libraries_stay_in_their_folder() -> None:
    for part, path in modules():
        for name in imported(path):
            head = name.split(".")[0]
            if head in ONLY_IN:
                assert part in ONLY_IN[head], f"{path.relative_to(ROOT)} imports {head}"


def test_plugins_have_no_init() -> None:
    assert not list((ROOT / "plugins").rglob("__init__.py"))
