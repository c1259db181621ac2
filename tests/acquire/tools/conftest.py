# SPDX-License-Identifier: Apache-2.0
"""An empty store of tools, and a LiME module to put into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.acquire.tools.store import Store
from tests.acquire.tools.node import MAGIC
from tests.acquire.tools.test_elf import module


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "tools")


@pytest.fixture
def lime(tmp_path: Path) -> Path:
    path = tmp_path / "lime.ko"
    path.write_bytes(module({"name": "lime", "vermagic": MAGIC, "version": "1.9"}))
    return path
