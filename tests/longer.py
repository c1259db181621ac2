# SPDX-License-Identifier: Apache-2.0
"""Which tests do more in the long run (CI=true, MEMIR_IMAGES) than in tests/run, and what tests/run must have."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import NoReturn

import pytest

from tests.images import ROOT, ImageCase, cases

# a file whose tests take more inputs or more rounds, or go over all images by themselves
_MORE = re.compile(r"""environ\.get\("CI"\)|from tests\.fuzz import|import .*\bcases\b""")


def does_more(item: pytest.Item) -> bool:
    """Whether a test is marked long, on an image beside samples/, or in a file that looks at CI or at all images."""
    if item.get_closest_marker("long") is not None:
        return True
    parameters = getattr(item, "callspec", None)
    values = list(parameters.params.values()) if parameters is not None else []
    return _file_does_more(item.path) or any(map(_is_new, values))


@functools.cache
def _file_does_more(path: Path) -> bool:
    return _MORE.search(path.read_text()) is not None


def _is_new(value: object) -> bool:
    """Whether a test's parameter is, or holds, an image that samples/ has not."""
    if isinstance(value, tuple | list):
        return any(map(_is_new, value))
    image = value if isinstance(value, ImageCase) else cases().get(value) if isinstance(value, str) else None
    return image is not None and image.image.parent != ROOT / "samples"


def not_here(what: str) -> NoReturn:
    """Skip, told by name at the end; within tests/run, which installs it, its absence is a failure."""
    if os.environ.get("MEMIR_TESTS_RUN"):
        pytest.fail(f"{what}: tests/run installs it, and it is not here")
    pytest.skip(what)
