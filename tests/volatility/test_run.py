# SPDX-License-Identifier: LicenseRef-VSL-1.0
from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.errors import SymbolsError, UsageError
from memir.kernel.engine import Kernel
from memir.kube.owner import Owner, OwnerBatch, Owners
from memir.kube.ram import RamSource
from memir.symbols.anchors import Anchors
from memir.symbols.isf import IsfTypes
from memir.symbols.isf_make import IsfSource
from memir.symbols.locate import locate
from memir.symbols.types import KernelTypes
from memir.volatility.context import build_context
from memir.volatility.pod_columns import POD_COLUMNS, PluginColumn
from memir.volatility.run import Host, run_plugin
from tests.images import ImageCase, cases
from tests.rows import rows_of
from tests.volatility import truth

PLUGIN = '''
import datetime, logging
from volatility3.framework import interfaces, renderers
from volatility3.framework.configuration import requirements
from volatility3.framework.layers import scanners
from volatility3.framework.renderers import format_hints

class Odd(interfaces.plugins.PluginInterface):
    """Does what plugins do."""
    _required_framework_version = (2, 0, 0)
    needs = False

    @classmethod
    def get_requirements(cls):
        found = [
            requirements.ModuleRequirement(name="kernel", description="Linux kernel"),
            requirements.StringRequirement(name="how", description="how", default="", optional=True),
        ]
        if cls.needs:
            found.append(requirements.VersionRequirement(name="x", component=cls, version=(9, 0, 0)))
        return found

    def rows(self):
        when = datetime.datetime(2026, 1, 1)
        yield 0, (1, format_hints.Hex(255), "a", b"\\xde\\xad", 1.5, True, when, format_hints.HexBytes(b"\\x01"))
        none, bad = renderers.NotAvailableValue(), renderers.UnreadableValue()
        yield 1, (none, bad, renderers.NotApplicableValue(), b"", 0.0, False, none, none)
        how = self.config["how"]
        if how == "zero":
            1 / 0
        if how == "memory":
            self.context.layers["layer_name"].read(0x10, 8)
        if how == "symbol":
            self.context.modules["kernel"].get_symbol("nothing")
        if how == "file":
            for name, data in (("escape 1.bin", b"12345"), ("escape 1.bin", b"more"), ("..", b"up")):
                with self.open(name) as file:
                    file.write(data)
            with self.open("../../escape.bin") as file:
                file.write(b"outside")
        if how == "warn":
            logging.getLogger("volatility3.plugins.odd").warning("take care")
            logging.getLogger("volatility3.plugins.odd").warning("take care")
        if how == "progress":
            layer, told = self.context.layers["memory_layer"], self._progress_callback
            list(layer.scan(self.context, scanners.BytesScanner(b"no such bytes"), progress_callback=told))
        if how == "scan":
            scanner = scanners.BytesScanner(b"x")
            scanner.__class__ = type("Boom", (scanners.BytesScanner,), {"__call__": boom})
            list(self.context.layers["memory_layer"].scan(self.context, scanner))

    def run(self):
        if self.config["how"] == "early":
            raise KeyError("early")
        columns = [("Pid", int), ("OFFSET (V)", format_hints.Hex), ("Name", str), ("Raw", bytes), ("F", float)]
        columns += [("B", bool), ("When", datetime.datetime), ("Hex", format_hints.HexBytes)]
        return renderers.TreeGrid(columns, self.rows())

def boom(self, data, offset):
    raise ValueError("scanner died")
'''


def small() -> ImageCase:
    found = [case for name, case in sorted(cases().items()) if "small" in name]
    return next((case for case in found if case.name == "s-6.1-small"), found[0])


@pytest.fixture(scope="module")
def located() -> Iterator[tuple[Any, Anchors]]:
    with small().open() as memory:
        yield memory, locate(memory)


@pytest.fixture(scope="module")
def host(located: tuple[Any, Anchors]) -> Host:
    return Host(*located)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "odd.py").write_text(PLUGIN)
    return folder


EVERY = truth.CHECKS | truth.MORE
SLOW = {("node-6.1", "linux.lsof"), ("node-6.1", "linux.sockstat")}


def runs() -> list[Any]:
    """Each plugin on each image; in tests/run all of them on one image, and on the others those that most rest on."""
    return [
        pytest.param(case, plugin, id=f"{name}-{plugin}", marks=_marks(name, plugin))
        for name, case in sorted(cases().items())
        for plugin in EVERY
    ]


def _marks(name: str, plugin: str) -> list[pytest.MarkDecorator]:
    few = plugin in {"linux.pslist", "linux.lsmod"}
    long = [] if name == "s-6.1-small" or few else [pytest.mark.long("the same plugin on another image")]
    return long + ([pytest.mark.slow] if (name, plugin) in SLOW else [])


@functools.lru_cache(maxsize=1)  # images come in order
def host_of(case: ImageCase) -> Host:
    return Host(case.open(), locate_of(case))


@functools.lru_cache(maxsize=1)
def locate_of(case: ImageCase) -> Anchors:
    with case.open() as memory:
        return locate(memory)


@pytest.mark.parametrize(("case", "plugin"), runs())
def test_core_plugins_are_right_on_every_image(case: ImageCase, plugin: str) -> None:
    result = host_of(case).run(plugin)
    if plugin == "linux.lsmod" and "modules" not in locate_of(case).symbols:
        assert result.failure == "this kernel has no modules: Unknown symbol: modules"
        return
    assert result.failure is None
    assert truth.unexplained(case, EVERY[plugin](truth.load(case), result.dicts())) == []


def contents() -> list[Any]:
    """One image is enough for every day: all files of an image are listed."""
    every = [case for _, case in sorted(cases().items()) if "small" in case.name]
    long = (pytest.mark.slow, pytest.mark.long("the same plugin on another image"))
    return [pytest.param(one, id=one.name, marks=() if one.name == "s-7.2-small-la57" else long) for one in every]


@pytest.mark.parametrize("case", contents())
def test_file_contents_come_out_on_every_image(case: ImageCase, tmp_path: Path) -> None:
    host = host_of(case)
    files = host.run("linux.pagecache.Files").dicts()
    spec = next(row for row in files if str(row["FilePath"]).endswith("/config.json") and row["CachedPages"])
    dumped = host.run("linux.pagecache.InodePages", ["--inode", f"{spec['InodeAddr']:#x}", "--dump"], output=tmp_path)
    assert (dumped.failure, dumped.warnings) == (None, {})
    assert json.loads(dumped.files[0].read_bytes().rstrip(b"\0"))["ociVersion"]


def test_plugins_do_not_depend_on_those_before(located: tuple[Any, Anchors], host: Host) -> None:
    names = [
        "linux.iomem",
        "linux.sockstat",
        "linux.psaux",
        "linux.ip.Link",
    ]
    alone = {name: run_plugin(*located, name).rows for name in names}
    layers = list(host.context.layers)
    assert {name: host.run(name).rows for name in reversed(names)} == alone
    assert all(alone.values())
    assert list(host.context.layers) == layers


def test_plugins_that_run_others(host: Host) -> None:
    result = host.run("timeliner", ["--plugin-filter", "linux.pslist"])
    assert result.failure is None
    assert len(result.rows) >= len(host.run("linux.pslist").rows)


class MistakenPids(Owners):
    """By pid everything is one container's, as a plugin's pids of another namespace would make it seem."""

    def by_pid(self, pid: Any) -> OwnerBatch:
        return OwnerBatch.of_lists([[Owner("c" * 64, "wrong", "u", "by pid", "shop")]] * len(pid))


def test_rows_get_their_pods_by_task_and_by_pid(located: tuple[Any, Anchors], host: Host) -> None:
    memory, anchors = located
    source = RamSource(Kernel(memory, anchors))
    plain = host.run("linux.pslist")
    want = {row["pid"]: [row[name] for name in POD_COLUMNS] for row in rows_of(source, "processes")["processes"]}
    assert {names[0] for names in want.values()} == {None, "web-7d4b9c6f5-abcde", "miner-0", "agent-x9z2k"}
    for owners in (source.owners, MistakenPids(source)):  # a task's address is the better witness
        result = run_plugin(memory, anchors, "linux.pslist", owners=owners)
        assert [column.name for column in result.columns[-4:]] == list(POD_COLUMNS)
        assert {row["PID"]: [row[name] for name in POD_COLUMNS] for row in result.dicts()} == {
            row["PID"]: want[row["PID"]] for row in plain.dicts()
        }
        assert [row[:-4] for row in result.rows] == plain.rows
    pid = next(pid for pid, names in want.items() if names[2] == "miner")
    maps = host.run("linux.proc.Maps", ["--pid", str(pid)], owners=source.owners)
    assert {tuple(row[name] for name in POD_COLUMNS) for row in maps.dicts()} == {tuple(want[pid])}
    maps = host.run("linux.proc.Maps", ["--pid", "1"], owners=MistakenPids(source))
    assert {row["pod_name"] for row in maps.dicts()} == {"by pid"}
    assert "pod_name" not in host.run("linux.iomem", owners=source.owners).dicts()[0]


def test_options_reach_the_plugin_and_do_not_stay(host: Host) -> None:
    assert {row["PID"] for row in host.run("linux.pslist", ["--pid", "1"]).dicts()} == {1}
    assert len(host.run("linux.pslist").rows) > 10
    with pytest.raises(UsageError, match="unrecognized arguments: --pidd"):
        host.run("linux.pslist", ["--pidd", "1"])
    with pytest.raises(UsageError, match="there is no plugin"):
        host.run("linux.pslst")


def test_values_are_plain_python(host: Host, folder: Path) -> None:
    result = host.run("odd", plugin_dirs=[folder])
    kinds = ["int", "hex", "string", "bytes", "float", "bool", "time", "bytes"]
    assert [column.kind for column in result.columns] == kinds
    assert result.columns[1] == PluginColumn("OFFSET (V)", "hex")
    assert result.rows[0] == (1, 255, "a", "de ad", 1.5, True, datetime.datetime(2026, 1, 1), "01")
    assert [type(value) for value in result.rows[0][:3]] == [int, int, str]
    assert result.rows[1] == (None, None, None, "", 0.0, False, None, None)
    assert result.depths == [0, 1]
    assert (result.failure, result.warnings, result.files, result.plugin) == (None, {}, [], "odd.Odd")


@pytest.mark.parametrize(
    ("how", "message", "rows"),
    [
        ("zero", "ZeroDivisionError: division by zero", 2),
        ("memory", "memory that it needs cannot be read: address 0x", 2),
        ("symbol", "this kernel has no nothing", 2),
        ("early", "KeyError: 'early'", 0),
    ],
)
def test_a_plugin_that_stops_says_why_and_keeps_its_rows(
    host: Host, folder: Path, how: str, message: str, rows: int
) -> None:
    result = host.run("odd", ["--how", how], plugin_dirs=[folder])
    assert result.failure is not None
    assert message in result.failure
    assert len(result.rows) == rows


def test_files_stay_in_the_folder_and_overwrite_nothing(host: Host, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with pytest.raises(UsageError, match="is not a folder"):
        host.run("odd", ["--how", "file"], plugin_dirs=[folder], output=output)
    output.mkdir()
    result = host.run("odd", ["--how", "file"], plugin_dirs=[folder], output=output)
    assert [path.read_bytes() for path in result.files] == [b"12345", b"more", b"up", b"outside"]
    assert [path.name for path in result.files] == ["escape 1.bin", "escape 1-1.bin", "file", "_.._escape.bin"]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(result.files)
    assert result.failure is None
    with pytest.raises(UsageError, match="name a folder"):
        host.run("odd", ["--how", "file"], plugin_dirs=[folder])


def test_warnings_and_scans_that_die_are_heard(host: Host, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert host.run("odd", ["--how", "warn"], plugin_dirs=[folder]).warnings == {"take care": 2}
    heard = host.run("odd", ["--how", "scan"], plugin_dirs=[folder]).warnings
    assert heard == {"Scan Failure: scanner died": 1}
    renamed = host.run("linux.malfind")
    assert any("renamed" in text or "deprecated" in text for text in renamed.warnings), renamed.warnings
    assert capfd.readouterr() == ("", "")


def test_requirements_that_cannot_be_met(host: Host, folder: Path) -> None:
    (folder / "demanding.py").write_text(PLUGIN.replace("needs = False", "needs = True").replace("Odd", "Demanding"))
    with pytest.raises(UsageError, match="Demanding needs what is not there"):
        host.run("demanding", plugin_dirs=[folder])


def test_progress_is_told(host: Host, folder: Path) -> None:
    told: list[float] = []
    host.run("odd", ["--how", "progress"], plugin_dirs=[folder], progress=lambda percent, what: told.append(percent))
    assert told == sorted(told)
    assert 0 < max(told) <= 100


def test_types_from_an_isf(located: tuple[Any, Anchors]) -> None:
    memory, anchors = located
    assert anchors.btf is not None
    linked = anchors.symbols.shifted(-(anchors.shift or 0))
    isf = IsfTypes(IsfSource(anchors.btf, linked, anchors.banner.encode()).document())
    without = Anchors(**{**anchors.__dict__, "btf": None, "types": KernelTypes(isf)})
    with pytest.raises(SymbolsError, match="neither as BTF nor as an ISF"):
        build_context(memory, without)
    if "init_task" in anchors.symbols:
        with_btf, with_isf = (
            run_plugin(memory, anchors, "linux.pslist"),
            run_plugin(memory, without, "linux.pslist", isf=isf),
        )
        assert with_isf.rows == with_btf.rows
