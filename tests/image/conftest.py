# SPDX-License-Identifier: Apache-2.0
"""The real AVML, for tests of files that it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acquire.rigs.nodes import avml  # noqa: F401  (a fixture)


@pytest.fixture(scope="session")
def avml_program(avml: Path) -> Path:  # noqa: F811  (a fixture)
    """The real AVML; in this folder `avml` is what makes such files."""
    return avml
