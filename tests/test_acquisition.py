# SPDX-License-Identifier: Apache-2.0
"""An acquisition from a program: by a transport's name, by its options, and from a node that cannot be acquired."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import memir
from memir.acquire.options import Options
from memir.acquire.settings import Shared
from memir.acquire.transports.local import LocalTransport
from memir.acquire.transports.local_options import LocalOptions
from memir.acquire.transports.ssh.options import SshOptions
from memir.errors import MemirError, RemoteError, UsageError
from memir.evidence.verify import verify
from tests.acquire.rigs.noderig import NodeRig
from tests.acquire.rigs.nodes import LOW, SMALL, avml, make_node, small_node  # noqa: F401  (fixtures)

LIME = 0x4C694D45
"""What a record of a LiME file starts with; then version, first and last address, 8 reserved bytes."""


@pytest.mark.parametrize("transport", ["local", LocalTransport(root=Path("/nonexistent"))], ids=["local", "root"])
def test_a_node_that_cannot_be_acquired(transport: LocalTransport, tmp_path: Path) -> None:
    options = Options(tool="lime", tool_path=tmp_path / "absent.ko", format="lime")
    told: list[object] = []
    with pytest.raises(MemirError) as caught:
        memir.capture(transport, tmp_path / "evidence", options=options, report=told.append)
    assert isinstance(caught.value, RemoteError) or caught.value.exit_code in (2, 3)
    assert str(caught.value)
    assert not (tmp_path / "evidence" / "receipt.json").exists()


@pytest.mark.parametrize("by", ["name", "options"])
def test_the_bytes_of_a_node(by: str, small_node: NodeRig, avml: Path, tmp_path: Path) -> None:  # noqa: F811
    """Real AVML over a chosen /proc/kcore: the image holds the very bytes."""
    shared = Shared(tool_path=avml, format="lime", no_context=True, grace=10, case="C-7")
    if by == "name":
        receipt = memir.capture("local", tmp_path / "evidence", shared=shared, root=small_node.root)
    else:
        receipt = memir.capture(LocalOptions(root=small_node.root), tmp_path / "evidence", shared=shared)
    assert (receipt["status"], receipt["missing"], receipt["left_on_node"]) == ("complete", [], [])
    image = (tmp_path / "evidence" / "image.lime").read_bytes()
    expected = b"".join(struct.pack("<IIQQ8x", LIME, 1, part.paddr, part.end - 1) + part.data for part in (LOW, SMALL))
    assert image == expected
    judged = verify(tmp_path / "evidence")
    assert judged.complete, judged.problems


def test_what_is_no_node(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no transport 'serial'; there are local, pod, ssh, ssm"):
        memir.capture("serial", tmp_path / "evidence")
    with pytest.raises(UsageError, match="takes one node, and these are 2"):
        memir.capture(SshOptions(["a", "b"]), tmp_path / "evidence")
    assert not (tmp_path / "evidence").exists()
