# SPDX-License-Identifier: Apache-2.0
"""pytest -n JOBS -p tests.coverage_contexts: counts lines by the test file whose tests run, for tests/coverage_of.py.

Many test files share a process, so that images are read and libraries loaded once. Each has a context of its own in
coverage's data, in the processes it starts too; what runs while files are collected is in the context "". What another
file's tests left in memir's caches is forgotten first. What still hides lines (an image that is open already) can only
make a file's number too small: coverage_of runs such a file alone before it says so.
"""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage

ROOT = Path(__file__).resolve().parents[1]
FORGOTTEN = ("memir", "plugins", "tests.conftest", "tests.findings.real")  # modules whose caches are emptied
SETTINGS = "MEMIR_COVERAGE_SETTINGS"  # names coverage's file of settings


def forget() -> None:
    """Empty the caches of memir's functions: another test file's calls would hide lines."""
    for value in gc.get_objects():
        # a class of C: isinstance on every object would ask proxies for their class, which may run code
        if type(value) is functools._lru_cache_wrapper and str(value.__module__).startswith(FORGOTTEN):
            value.cache_clear()


class Contexts:
    """Coverage of this process and its children, in the context of the test file that runs."""

    def __init__(self, settings: str) -> None:
        self.coverage = Coverage(config_file=settings, data_suffix=True)
        self.coverage.start()
        self.file = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Before a file's first test: its context, here and for processes that its tests start."""
        name = item.path.relative_to(ROOT).as_posix()
        if name != self.file:
            forget()
            self.file = name
            self.coverage.switch_context(name)
            self.coverage.config.context = name
            os.environ["COVERAGE_PROCESS_CONFIG"] = self.coverage.config.serialize()
        return (yield)

    def pytest_sessionfinish(self) -> None:
        """Keep what was counted."""
        self.coverage.stop()
        self.coverage.save()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before conftest.py imports memir, and only where tests run: xdist's first process hands them out."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        early_config.pluginmanager.register(Contexts(os.environ[SETTINGS]))
