# SPDX-License-Identifier: Apache-2.0
"""A way that cannot be used: its steps and traces are there, whatever needs the node raises why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from memir.acquire.transports.local import LocalTransport
from memir.acquire.transports.unreached import Unreached
from memir.errors import AccessError

WAY = Unreached(LocalTransport(), AccessError("nobody is signed in"))


@pytest.mark.parametrize(
    "ask",
    [
        WAY.connect, WAY.reconnect, lambda: WAY.run("id"), lambda: WAY.open_stream("id"),
        lambda: WAY.put("/x", b""),
    ],
)  # fmt: skip
def test_what_needs_the_node_raises_why(ask: Callable[[], Any]) -> None:
    with pytest.raises(AccessError, match="nobody is signed in"):
        ask()


def test_what_a_run_would_do_and_leave() -> None:
    assert WAY.steps() == LocalTransport().steps() and WAY.traces() == LocalTransport().traces()
    assert (WAY.kind, WAY.streams, WAY.identity(), WAY.check()) == ("local", True, {}, ())
    WAY.close()
