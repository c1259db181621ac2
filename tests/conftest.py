"""Fixtures that several folders share."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols.locate import locate
from tests.images import case, cases


@functools.lru_cache(maxsize=2)
def _node(name: str) -> RamSource:
    memory = case(name).open()
    return RamSource(Kernel(memory, locate(memory)))


@pytest.fixture(scope="session")
def node_of() -> Callable[[str], RamSource]:
    """The node of an image, by the image's name; the last ones are kept."""
    return _node


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests with an argument `image` run on every image."""
    if "image" in metafunc.fixturenames:
        names = sorted(cases())
        assert names, "no images: set MEMIR_IMAGES, or restore samples/"
        # by module: all tests of a file on one image, then on the next, so that an image is read once
        metafunc.parametrize("image", names, scope="module")
