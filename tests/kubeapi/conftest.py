# SPDX-License-Identifier: Apache-2.0
"""The servers and nodes of tests/acquire."""

from tests.acquire.conftest import *  # noqa: F403  (fixtures)
