# SPDX-License-Identifier: Apache-2.0
"""A capture of a node that is hostile: it sends without end, or millions of records; the responder is not hurt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.local import LocalTransport
from memir.errors import PartialError
from memir.evidence.verify import verify
from tests.acquire.rigs.noderig import NodeRig

ENDLESS = "#!/bin/sh\nexec /usr/bin/yes AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
RECORDS = """#!/usr/bin/python3
import struct, sys
for base in range(0, 4_000_000, 100_000):
    sys.stdout.buffer.write(b"".join(
        struct.pack("<IIQQQ", 0x4C694D45, 1, at * 8192, at * 8192, 0) + b"x" for at in range(base, base + 100_000)))
"""


def hostile(node: NodeRig, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """A python3 of the node's own choice, found before the real one."""
    folder = node.root / "hostile"
    folder.mkdir()
    (folder / "python3").write_text(program)
    (folder / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", "/hostile:/usr/bin:/bin:/usr/sbin:/sbin")


def acquire(node: NodeRig, folder: Path, avml: Path, **more: object) -> dict[str, object]:
    options = Options(tool_path=avml, format="lime", grace=5, context=False, **more)  # type: ignore[arg-type]
    with pytest.raises(PartialError):
        Acquisition(LocalTransport(node.root), FileSink(folder), folder, options).execute()
    document: dict[str, object] = json.loads((folder / "receipt.json").read_bytes())
    return document


def test_a_node_that_sends_without_end(
    small_node: NodeRig, tmp_path: Path, avml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile(small_node, monkeypatch, ENDLESS)
    receipt = acquire(small_node, tmp_path / "ev", avml)
    ram = sum(len(segment.data) for segment in small_node.segments)
    most = int(ram * 1.02) + (4 << 20)
    assert f"the node sent more than {most:,} bytes (its RAM and 2 %): stopped" in str(receipt["missing"])
    assert (tmp_path / "ev" / "image.lime.partial").stat().st_size <= most
    assert verify(tmp_path / "ev").exit_code == 4


def test_the_user_s_own_bound(
    small_node: NodeRig, tmp_path: Path, avml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile(small_node, monkeypatch, ENDLESS)
    receipt = acquire(small_node, tmp_path / "ev", avml, max_size=3 << 20)
    assert "more than 3,145,728 bytes (--max-size)" in str(receipt["missing"])


def test_millions_of_records(
    node: NodeRig, tmp_path: Path, avml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile(node, monkeypatch, RECORDS)
    receipt = acquire(node, tmp_path / "ev", avml)
    assert "records at byte" in str(receipt["missing"])
    assert (tmp_path / "ev" / "receipt.json").stat().st_size < 200_000
    assert (tmp_path / "ev" / "manifest.jsonl").stat().st_size < 200_000
