# SPDX-License-Identifier: Apache-2.0
"""`memir acquire local`."""

from __future__ import annotations

import platform
from pathlib import Path

from memir.acquire.settings import Shared
from memir.acquire.transports.local_options import LocalOptions


def test_this_machine() -> None:
    own = LocalOptions(root=Path("/host"), hash_as_well=True)
    own.check(Shared())
    assert (own.names(Shared()), own.node_hash()) == ([platform.node()], True)
    assert own.transport("x", Shared()).identity()["root"] == "/host"
