# SPDX-License-Identifier: Apache-2.0
"""Each folder imports only what the design lets it import."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.modules import excused, its_test, unnamed
from tests.modules import modules as modules_with_code

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "errors": set(),
    "text": {"errors"},
    "gaps": set(),
    "image": {"errors"},
    "evidence": {"errors", "documents", "image"},
    "aws": {"errors", "image", "evidence"},
    "kubeapi": {"errors", "aws"},
    "symbols": {"errors", "image"},
    "kernel": {"errors", "image", "symbols"},
    "kube": {"errors", "image", "symbols", "kernel"},
    "checkpoint": {"errors", "kernel", "kube"},
    "tables": {"errors", "image", "symbols", "kernel", "kube", "collected", "checkpoint"},
    "hunt": {"errors", "image", "aws", "symbols", "kernel", "kube", "tables", "collected", "checkpoint"},
    "logs": {"errors", "image", "symbols", "kernel", "kube", "tables"},
    "findings": {"errors", "image", "symbols", "kernel", "kube", "tables", "logs"},
    "documents": {"errors"},
    "extract": {"errors", "image", "symbols", "kernel", "kube", "tables", "node"},
    "case": {
        "errors",
        "documents",
        "image",
        "symbols",
        "kernel",
        "kube",
        "tables",
        "hunt",
        "logs",
        "findings",
        "evidence",
    },
    "report": {"errors", "documents", "image", "symbols", "kernel", "kube", "tables", "hunt", "findings", "case"},
    "volatility": {"errors", "image", "symbols", "kernel", "kube", "tables", "hunt"},
    "acquire": {"errors", "documents", "image", "evidence", "aws", "kubeapi"},
    "collected": {"errors", "evidence", "kernel", "kube"},
    "collect": {"errors", "documents", "evidence", "aws", "kubeapi", "acquire"},
    "respond": {
        "errors", "documents", "image", "evidence", "aws", "kubeapi", "symbols", "kernel", "kube", "tables", "hunt",
        "findings", "case", "acquire",
    },
}
ONLY_IN = {
    "volatility3": {"volatility", "plugins"},
    "yara": {"hunt"},
    "paramiko": {"acquire"},
    "boto3": {"aws"},
    "botocore": {"aws"},
    "kubernetes": {"kubeapi"},
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


def graph() -> dict[str, set[str]]:
    """Which file of memir imports which, wherever in the file the import stands."""
    names = {}
    for path in sorted((ROOT / "memir").rglob("*.py")):
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        names[dotted.removesuffix(".__init__")] = path
    edges: dict[str, set[str]] = {}
    for name, path in names.items():
        edges[name] = set()
        for target in imported(path):
            module = target if target in names else target.rpartition(".")[0]
            # a package's own version is asked for everywhere
            if module in names and module not in {name, "memir"}:
                edges[name].add(module)
    return edges


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other (Tarjan's strongly connected components of more than one)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group: list[str] = []
            while not group or group[-1] != node:
                group.append(stack.pop())
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return groups


def by_folder(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same between folders; a file that lies beside folders is a node of its own."""

    def place(name: str) -> str:
        path = ROOT.joinpath(*name.split("."))
        folder = path if path.is_dir() else path.parent
        # the files of a folder with folders in it (acquire/run.py beside acquire/sinks/) are not one thing with them
        beside = any(one.is_dir() and one.name != "__pycache__" for one in folder.iterdir())
        return name if beside and not path.is_dir() else ".".join(folder.relative_to(ROOT).parts)

    grouped: dict[str, set[str]] = {}
    for name, targets in edges.items():
        grouped.setdefault(place(name), set()).update(place(target) for target in targets)
    return {name: targets - {name} for name, targets in grouped.items()}


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == [["a", "b", "c"]]


def test_no_circles_between_files() -> None:
    edges = graph()
    assert "memir.image.lime" in edges["memir.image.open"]
    assert circles(edges) == []


def test_no_circles_between_folders() -> None:
    assert circles(by_folder(graph())) == []


def test_plugins_have_no_init() -> None:
    assert not list((ROOT / "plugins").rglob("__init__.py"))


SOURCES = [
    path
    for folder in ("memir", "plugins", "tests", "samples", "benchmarks", "documentation", "release")
    for pattern in ("*.py", "*.sh", "*.c", "*.yar")
    for path in sorted((ROOT / folder).rglob(pattern))
    if ".cache" not in path.parts and "data" not in path.parts  # inputs of tests are what they are
]


def licence(path: Path) -> str:
    """VSL-1.0 for what runs inside volatility3 or runs it and reads its results, and for its tests; else Apache-2.0."""
    parts = path.relative_to(ROOT).parts
    parts = parts[1:] if parts[0] in ("memir", "tests") else parts
    run = parts[0] == "cli" and parts[-1] in ("run.py", "test_run.py")
    return "LicenseRef-VSL-1.0" if run or parts[0] in ("volatility", "plugins") else "Apache-2.0"


def test_every_file_names_its_licence() -> None:
    wrong = []
    for path in SOURCES:
        head = path.read_text(errors="replace").splitlines()[:3]
        if not any(line.endswith(f"SPDX-License-Identifier: {licence(path)}") for line in head):
            wrong.append(f"{path.relative_to(ROOT)}: {licence(path)}")
    assert wrong == [], "SPDX-License-Identifier in the first line, or the second after #!"


def test_every_module_has_a_test_file_of_its_name() -> None:
    known = excused()
    bare = [module for module in modules_with_code() if not (ROOT / its_test(module)).is_file()]
    wrong = [f"{module}: write {its_test(module)}" for module in bare if str(module) not in known]
    assert wrong == []


def test_every_public_function_is_named_in_it() -> None:
    known = excused()
    wrong = []
    for module in modules_with_code():
        if (ROOT / its_test(module)).is_file():
            lacking = set(unnamed(module)) - set(known.get(str(module), []))
            wrong += [f"{its_test(module)}: nothing about {name}()" for name in sorted(lacking)]
    assert wrong == []


def test_the_list_of_exceptions_has_modules_that_are_there() -> None:
    assert set(excused()) <= {str(module) for module in modules_with_code()}


def test_the_list_of_exceptions_only_gets_shorter() -> None:
    stale = []
    for name, functions in excused().items():
        if (ROOT / its_test(Path(name))).is_file():
            lacking = unnamed(Path(name))
            stale += [f"{name} {function}" for function in functions if function not in lacking]
            stale += [] if functions else [name]
    assert stale == [], "take these out of tests/without_test_file.txt"
