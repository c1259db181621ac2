# SPDX-License-Identifier: LicenseRef-VSL-1.0
from __future__ import annotations

import sys
from pathlib import Path

import pytest
import volatility3.plugins
from volatility3.framework import constants, contexts

from memir.errors import UsageError
from memir.volatility import plugins

MINE = '''
from volatility3.framework import interfaces, renderers
from volatility3.framework.configuration import requirements

class {name}(interfaces.plugins.PluginInterface):
    """Counts.

    More words."""
    _required_framework_version = (2, 0, 0)

    @classmethod
    def get_requirements(cls):
        return [
            requirements.ModuleRequirement(name="kernel", description="Linux kernel", architectures=["Intel64"]),
            requirements.TranslationLayerRequirement(name="primary", description="memory"),
            requirements.IntRequirement(name="up_to", description="how far", default=3, optional=True),
            requirements.ListRequirement(name="pids", element_type=int, description="which", optional=True),
            requirements.BooleanRequirement(name="loud", description="shout", default=False, optional=True),
            requirements.ChoiceRequirement(name="side", choices=["left", "right"], default="left", optional=True),
        ]

    def run(self):
        return renderers.TreeGrid([("N", int)], ((0, (n,)) for n in range(self.config["up_to"])))
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a user's plugins, with an empty __init__.py that would hide volatility3's own."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "linux").mkdir()
    (folder / "linux" / "__init__.py").write_text("")
    (folder / "linux" / "counts.py").write_text(MINE.format(name="Counts"))
    (folder / "top.py").write_text(MINE.format(name="Top"))
    return folder


@pytest.mark.parametrize("name", ["linux.pslist", "linux.pslist.PsList", "pslist.PsList", "linux.Proc.maps"])
def test_names_that_vol_takes(name: str) -> None:
    if name in ("pslist.PsList",):
        with plugins.process_settings([]), pytest.raises(UsageError, match="several plugins"):
            plugins.find_plugin(name)  # windows has one too
        return
    with plugins.process_settings([]):
        found = plugins.find_plugin(name)
    assert plugins.full_name(found) in ("linux.pslist.PsList", "linux.proc.Maps")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("linux.pslst", "no plugin linux.pslst; do you mean .*linux.pslist.PsList"),
        ("linux.sockstats", "do you mean linux.sockstat.Sockstat"),
        ("qqzzqqxx", "there is no plugin qqzzqqxx$"),
        ("linux.ip", "several plugins"),
        ("windows.pslist", "is a plugin for windows"),
        ("../../etc/passwd", "not a plugin's name"),
        ("os", "several plugins|no plugin"),
        ("", "not a plugin's name"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with plugins.process_settings([]), pytest.raises(UsageError, match=message):
        plugins.find_plugin(name)


def test_plugins_of_the_users_folder(folder: Path) -> None:
    before = list(volatility3.plugins.__path__)
    with plugins.process_settings([folder]):
        assert plugins.full_name(plugins.find_plugin("linux.counts")) == "linux.counts.Counts"
        assert plugins.full_name(plugins.find_plugin("top")) == "top.Top"
        assert plugins.full_name(plugins.find_plugin("linux.pslist")) == "linux.pslist.PsList"
        assert "linux.counts.Counts" in plugins.plugin_names()
    assert volatility3.plugins.__path__ == before
    assert str(folder / "linux") not in sys.modules["volatility3.plugins.linux"].__path__
    assert constants.Parallelism.Off == constants.PARALLELISM


def test_plugins_that_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (:\n")
    (tmp_path / "needs.py").write_text("import no_such_library\n")
    (tmp_path / "raises.py").write_text("1 / 0\n")
    for name, message in (("broken", "SyntaxError"), ("needs", "no_such_library"), ("raises", "ZeroDivisionError")):
        with plugins.process_settings([tmp_path]), pytest.raises(UsageError, match=message):
            plugins.find_plugin(name)


def configured(folder: Path, *options: str) -> dict[str, object]:
    context = contexts.Context()
    with plugins.process_settings([folder]):
        plugin = plugins.find_plugin("linux.counts")
        plugins.configure(context, plugin, options, "run.Counts")
    return dict(context.config.branch("run.Counts"))


def test_options_as_vol_takes_them(folder: Path) -> None:
    plain = {"up_to": 3, "loud": False, "side": "left"}
    assert configured(folder) == plain
    assert configured(folder, "--up-to", "0x10", "--loud") == plain | {"up_to": 16, "loud": True}
    assert configured(folder, "--pids", "1", "0x2", "--side", "right") == plain | {"pids": [1, 2], "side": "right"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--upto"], "--upto"),
        (["--up-to", "many"], "many"),
        (["--up-to"], "expected one argument"),
        (["--side", "middle"], "middle"),
        (["stray"], "stray"),
        (["--kernel", "x"], "--kernel"),
    ],
)
def test_options_that_are_wrong(folder: Path, options: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        configured(folder, *options)
    assert "linux.counts.Counts" in str(raised.value)


def test_help_names_the_options(folder: Path) -> None:
    with plugins.process_settings([folder]):
        text = plugins.plugin_help(plugins.find_plugin("linux.counts"))
    assert "--up-to" in text
    assert "Counts." in text
    assert "--kernel" not in text


def test_import_all_gives_every_plugin_by_its_name(folder: Path) -> None:
    with plugins.process_settings([folder]):
        found = plugins.import_all()
        assert plugins.plugin_names() == sorted(found)
    assert found["linux.pslist.PsList"].__module__ == "volatility3.plugins.linux.pslist"
    assert found["linux.counts.Counts"].__name__ == "Counts"
