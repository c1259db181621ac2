# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""The plugins under a stock `vol`, under `memir run` and in the wheel: everywhere the rows of `memir analyze`."""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memir.kube.ram import RamSource
from memir.symbols.isf_source import of_kernel
from memir.tables.table import tables
from memir.text import safe
from memir.volatility.run import run_plugin
from tests.images import ROOT, case, cases
from tests.rows import rows_of

NodeOf = Callable[[str], RamSource]
PLUGINS = ROOT / "plugins"
TABLE_OF = {
    "linux.pods": "pods",
    "linux.containers": "containers",
    "linux.cgroups": "processes",
    "linux.namespaces": "namespaces",
    "linux.containerps": "processes",
    "linux.pod_sockets": "sockets",
    "linux.podmounts": "mounts",
    "linux.podfiles": "files",
    "linux.drift": "inodes",
    "linux.podbpf": "bpf",
    "linux.podcode": "code_pages",
    "linux.podconntrack": "conntrack",
}
# of an image on which nobody changed code, nor loaded a BPF program, nor has rules of netfilter
EMPTY = {"linux.podbpf", "linux.podcode", "linux.podconntrack"}
# volatility3 2.28 finds no 5-level tables and no arm64 by itself: memir run does. On one image, and under memir
# run, a few: every plugin is the same few lines, each run reads the node anew; the long run has all
FEW = ("linux.pods", "linux.containerps", "linux.pod_sockets")
STOCK = (
    ("s-5.10-small-v1", FEW),
    pytest.param("s-6.1-small", tuple(TABLE_OF), marks=pytest.mark.long("every plugin")),
)
OURS = tuple(name for name in ("s-7.2-small-la57", "s-6.1-small-la57", "arm64-6.12-small-lpa2") if name in cases())
TYPES = {name: {column.name: column.type for column in table.columns} for name, table in tables().items()}
# one process for all plugins; without the jsonschema package, with which it takes half a minute longer
VOL = """
import contextlib, io, json, sys
sys.modules["jsonschema"] = None
from volatility3.cli import main
common, found = sys.argv[1].split("|"), {}
for plugin in sys.argv[2].split("|"):
    sys.argv = ["vol", "-q", "-r", "json", "--offline", *common, plugin]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main()
    found[plugin] = json.loads(out.getvalue())
print(json.dumps(found))
"""


def columns_of(plugin: str) -> tuple[str, ...]:
    """The columns that the plugin's file names."""
    path = PLUGINS / "linux" / f"{plugin.partition('.')[2]}.py"
    spec = importlib.util.spec_from_file_location(f"read_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (plugin_class,) = [one for one in vars(module).values() if getattr(one, "__module__", "") == spec.name]
    assert plugin_class.table == TABLE_OF[plugin]
    columns: tuple[str, ...] = plugin_class.columns
    return columns


def as_vol_prints(value: Any, kind: str) -> Any:
    """A value of memir's tables as volatility3's JSON renderer has it."""
    if isinstance(value, list):
        return safe(" ".join(str(one) for one in value))
    if kind == "timestamp" and value is not None:
        return value.isoformat()
    return safe(value) if isinstance(value, str) else value


def expected(node: RamSource, plugin: str) -> list[dict[str, Any]]:
    table = TABLE_OF[plugin]
    only = "change" if plugin == "linux.drift" else None
    return [
        {column: as_vol_prints(row[column], TYPES[table][column]) for column in columns_of(plugin)}
        for row in rows_of(node, table)[table]
        if only is None or row[only] is not None
    ]


@pytest.mark.parametrize(("name", "plugins"), STOCK)
def test_stock_volatility(name: str, plugins: tuple[str, ...], node_of: NodeOf, tmp_path: Path) -> None:
    node = node_of(name)
    symbols = tmp_path / "symbols" / "linux" / "kernel.json"
    symbols.parent.mkdir(parents=True)
    of_kernel(node.kernel.anchors).write(symbols)
    image = tmp_path / "image.raw"
    with case(name).open() as memory, image.open("wb") as file:
        for start, view in memory.views(1 << 20, skip_zeros=True):
            file.seek(start)
            file.write(view.data)
        file.truncate(memory.end)
    common = ["-s", tmp_path / "symbols", "-p", PLUGINS, "--cache-path", tmp_path, "-f", image]
    command = [sys.executable, "-c", VOL, "|".join(map(str, common)), "|".join(plugins)]
    env = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    for plugin in plugins:
        rows = [{key: value for key, value in row.items() if key != "__children"} for row in found[plugin]]
        assert rows == expected(node, plugin), plugin
        assert rows or plugin in EMPTY, plugin


@pytest.mark.parametrize("name", OURS)
def test_memir_run(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    for plugin in FEW:
        result = run_plugin(node.kernel.memory, node.kernel.anchors, plugin, [], plugin_dirs=[PLUGINS])
        assert result.failure is None
        names = [column.name for column in result.columns]
        rows = [dict(zip(names, row, strict=True)) for row in result.rows]
        assert [{column: plain(row[column]) for column in columns_of(plugin)} for row in rows] == expected(
            node, plugin
        ), plugin


def plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else value


def test_wheel(tmp_path: Path) -> None:
    """The wheel holds the plugins as plain files, and no __init__.py beside them that would hide volatility3's own."""
    source = tmp_path / "source"
    for part in ("memir", "plugins", "LICENSES"):
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("memir-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")
    inside = sorted(name for name in names if name.startswith("memir/plugins/"))
    assert inside == [f"memir/plugins/linux/{path.name}" for path in sorted((PLUGINS / "linux").glob("*.py"))]
    assert "memir/plugins/linux/pods.py" in inside
    assert not [name for name in inside if name.endswith("__init__.py")]
    code = "from memir.volatility.engine import plugins_path; print(plugins_path())"
    env = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env, cwd=tmp_path
    )
    assert told.stdout == f"{tmp_path / 'installed' / 'memir' / 'plugins'}\n"
