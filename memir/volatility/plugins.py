# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Find a volatility3 plugin by the name that `vol` takes, and read its options as `vol` does."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import importlib.util
import inspect
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import volatility3.plugins
from volatility3 import framework
from volatility3.cli import CommandLine
from volatility3.framework import constants, interfaces
from volatility3.framework.constants import architectures

from memir.errors import UsageError

_PACKAGE = "volatility3.plugins"
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LOCK = threading.RLock()
assert architectures  # some plugins rely on another having imported it


@contextlib.contextmanager
def process_settings(folders: Sequence[Path]) -> Iterator[None]:
    """Set what volatility3 keeps for the whole process, and put it back: one run at a time.

    Plugins are found in `folders` (those of `vol -p`) before volatility3's own. Scans use one process: with
    threads volatility3 loses all results without a word. Nothing is fetched from the network.
    """
    with _LOCK:
        before = constants.PARALLELISM, constants.OFFLINE, volatility3.plugins.__path__
        constants.PARALLELISM, constants.OFFLINE = constants.Parallelism.Off, True
        # Imported from volatility3 itself first: an empty linux/__init__.py of the user's would hide its
        # plugins.
        for system in ("linux", "mac", "windows"):
            importlib.import_module(f"{_PACKAGE}.{system}")
        _set_path([*(str(folder.resolve()) for folder in folders), *constants.PLUGINS_PATH])
        try:
            yield
        finally:
            constants.PARALLELISM, constants.OFFLINE = before[:2]
            _set_path(before[2])


def _set_path(paths: list[str]) -> None:
    volatility3.plugins.__path__ = paths
    for system in ("linux", "mac", "windows"):
        sys.modules[f"{_PACKAGE}.{system}"].__path__ = [str(Path(path, system)) for path in paths]
    importlib.invalidate_caches()


def find_plugin(name: str) -> type[Any]:
    """The plugin of this name: `linux.pslist.PsList`, `linux.pslist`, or a part of one name only, as in
    `vol`.

    UsageError if there is none or more than one, with the names that come near, or if it is not for Linux.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a plugin's name; they look like linux.pslist")
    plugin = _import_exact(name) or _search(name)
    system = plugin.__module__.removeprefix(f"{_PACKAGE}.").split(".")[0]
    if system in ("windows", "mac"):
        raise UsageError(f"{full_name(plugin)} is a plugin for {system}; the image is of a Linux node")
    return plugin


def full_name(plugin: type[Any]) -> str:
    """A plugin's name as `vol` lists it."""
    return f"{plugin.__module__}.{plugin.__name__}".removeprefix(f"{_PACKAGE}.")


def plugin_names() -> list[str]:
    """Names of all plugins that can be imported; this imports them all, which takes a second."""
    return sorted(import_all())


def _import_exact(name: str) -> type[Any] | None:
    """By importing the one module that the name says: importing all of them takes a second."""
    for module, class_name in ((name, None), name.rpartition(".")[::2]):
        full = f"{_PACKAGE}.{module}"
        if not module or not _exists(full):
            continue
        try:
            members = vars(importlib.import_module(full)).values()
        except Exception as error:  # a plugin is anyone's code
            raise UsageError(f"plugin {module} cannot be imported: {type(error).__name__}: {error}") from error
        own = [
            member
            for member in members
            if inspect.isclass(member)
            and issubclass(member, interfaces.plugins.PluginInterface)
            and member.__module__ == full
            and class_name in (None, member.__name__)
        ]
        if len(own) == 1:
            return own[0]
    return None


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _search(name: str) -> type[Any]:
    plugins = import_all()
    matching = [full for full in plugins if name.lower() in full.lower()]
    # linux.podsockets too: a module of that name would make linux.pods stand for two plugins under `vol`
    matching = matching or [full for full in plugins if name.lower() in full.lower().replace("_", "")]
    if len(matching) == 1:
        return plugins[matching[0]]
    if matching:
        raise UsageError(f"{name} stands for several plugins: {', '.join(sorted(matching))}")
    every = {full.lower(): full for full in plugins if not full.startswith(("windows.", "mac."))}
    short = {full.rpartition(".")[0].lower(): full for full in every.values()}
    near = difflib.get_close_matches(name.lower(), [*every, *short], 5, 0.5)
    names = dict.fromkeys((every | short)[match] for match in near)
    hint = f"; do you mean {' or '.join(names)}?" if names else ""
    raise UsageError(f"there is no plugin {name}{hint}")


def import_all() -> dict[str, type[Any]]:
    """Import every plugin there is: all of them by name."""
    try:
        framework.import_files(volatility3.plugins, True)
    except Exception as error:  # a plugin is anyone's code
        raise UsageError(f"a plugin cannot be imported: {type(error).__name__}: {error}") from error
    return dict(framework.list_plugins())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}\n{self.format_usage()}".strip())


def _parser(plugin: type[Any]) -> _Parser:
    parser = _Parser(prog=full_name(plugin), add_help=False, description=inspect.getdoc(plugin))
    try:
        CommandLine.populate_requirements_argparse(None, parser, plugin)
    except Exception as error:  # a plugin is anyone's code
        raise UsageError(f"{full_name(plugin)} does not say what it needs: {type(error).__name__}: {error}") from error
    return parser


def plugin_help(plugin: type[Any]) -> str:
    """The plugin's options, as `vol PLUGIN --help` shows them."""
    return _parser(plugin).format_help()


def configure(context: Any, plugin: type[Any], options: Sequence[str], path: str) -> None:
    """Put options, given as on `vol`'s command line, into the context's configuration at `path`.

    UsageError if an option is unknown or its value is wrong.
    """
    arguments = _parser(plugin).parse_args(list(options))
    try:
        CommandLine.populate_config(None, context, {full_name(plugin): plugin}, arguments, path)
    except (OSError, TypeError, ValueError) as error:
        raise UsageError(f"{full_name(plugin)}: {error}") from error
