# SPDX-License-Identifier: Apache-2.0
"""An acquisition from a program: this machine is no place to take RAM from, and says so before it changes anything."""

from __future__ import annotations

from pathlib import Path

import pytest

import memir
from memir.acquire.options import Options
from memir.acquire.transports.local import LocalTransport
from memir.errors import MemirError, RemoteError


@pytest.mark.parametrize("transport", ["local", LocalTransport(root=Path("/nonexistent"))], ids=["local", "root"])
def test_a_node_that_cannot_be_acquired(transport: LocalTransport, tmp_path: Path) -> None:
    options = Options(tool="lime", tool_path=tmp_path / "absent.ko", format="lime")
    told: list[object] = []
    with pytest.raises(MemirError) as caught:
        memir.capture(transport, tmp_path / "evidence", options=options, report=told.append)
    assert isinstance(caught.value, RemoteError) or caught.value.exit_code in (2, 3)
    assert str(caught.value)
    assert not (tmp_path / "evidence" / "receipt.json").exists()
