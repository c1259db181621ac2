# SPDX-License-Identifier: Apache-2.0
"""Whatever is changed in an evidence folder, `verify` says what and where."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.local import LocalTransport
from memir.errors import CustodyError
from memir.evidence.folder import address_of, image_of, inside, is_evidence
from memir.evidence.verify import summary, verify
from tests.acquire.rigs.noderig import NodeRig


@pytest.fixture
def evidence(small_node: NodeRig, tmp_path: Path, avml: Path) -> Path:
    """A signed evidence folder."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    folder = tmp_path / "ev"
    options = Options(tool_path=avml, format="lime", sign_key=tmp_path / "key", grace=5)
    Acquisition(LocalTransport(small_node.root), FileSink(folder), folder, options).execute()
    return folder


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_an_untouched_folder_holds(evidence: Path) -> None:
    found = verify(evidence, public_key=evidence.parent / "key.pub")
    assert (found.problems, found.holds, found.complete, found.signature) == ([], True, True, "trusted")
    assert summary(found)["status"] == "complete"
    assert is_evidence(evidence)
    assert image_of(evidence) == evidence / "image.lime"
    assert address_of(evidence) == str(evidence / "image.lime")


def link_version(evidence: Path) -> None:
    (evidence / "context/version").unlink()
    (evidence / "context/version").symlink_to("/proc/version")


CHANGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a byte of the image": (lambda e: flip(e / "image.lime", 5000), "image.lime part 1", "has SHA-256"),
    "the image's end": (
        lambda e: (e / "image.lime").write_bytes((e / "image.lime").read_bytes()[:-1]),
        "image.lime part 1", "1 bytes short",
    ),
    "a longer image": (
        lambda e: (e / "image.lime").write_bytes((e / "image.lime").read_bytes() + b"x"), "image.lime", "recorded are",
    ),
    "no image": (lambda e: (e / "image.lime").unlink(), "image.lime", "is missing"),
    "a context file": (lambda e: flip(e / "context/iomem", 3), "context/iomem", "has SHA-256"),
    "a context file gone": (lambda e: (e / "context/version").unlink(), "context/version", "is missing"),
    "a context file cut": (lambda e: (e / "context/version").write_bytes(b""), "context/version", "has 0 bytes"),
    "a file too many": (lambda e: (e / "context/extra").write_text("x"), "context/extra", "is not in the manifest"),
    "the receipt": (lambda e: flip(e / "receipt.json", 40), "receipt.json", "was changed|is not JSON"),
    "no receipt": (lambda e: (e / "receipt.json").unlink(), "receipt.json", "is missing"),
    "a manifest line": (lambda e: flip(e / "manifest.jsonl", 30), "manifest.jsonl", "line 1"),
    "the manifest's end": (
        lambda e: (e / "manifest.jsonl").write_bytes(
            b"".join((e / "manifest.jsonl").read_bytes().splitlines(keepends=True)[:-1])
        ),
        "manifest.sig", "or another head",
    ),
    "the signature": (lambda e: flip(e / "manifest.sig", -10), "manifest.sig", "does not hold|cannot be read"),
    "no signature": (lambda e: (e / "manifest.sig").unlink(), "manifest.sig", "is missing"),
    "a link for a file": (
        link_version,
        "context/version", "leads out of the folder",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_named(evidence: Path, change: str) -> None:
    apply, where, what = CHANGES[change]
    apply(evidence)
    found = verify(evidence, public_key=evidence.parent / "key.pub")
    assert not found.holds
    assert not found.complete
    import re

    assert any(p.where.startswith(where) and re.search(what, p.what) for p in found.problems), found.problems


def test_without_its_end_a_manifest_is_no_success_even_unsigned(evidence: Path) -> None:
    (evidence / "manifest.sig").unlink()
    path = evidence / "manifest.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    found = verify(evidence)
    assert any("has no end" in problem.what for problem in found.problems)
    assert found.status == "unknown"


def test_a_stranger_s_signature_is_not_trusted(evidence: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    found = verify(evidence, public_key=tmp_path / "other.pub")
    assert found.signature == "bad"
    assert "not by the key that you trust" in found.problems[0].what


def test_no_evidence_folder(tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match=r"has no manifest\.jsonl"):
        verify(tmp_path)
    with pytest.raises(CustodyError, match="is missing"):
        image_of(tmp_path)
    assert not is_evidence(tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".", "a/./b/..", "x\0y"])
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    assert inside(tmp_path, name) is None


def test_a_receipt_cannot_point_out_of_the_folder(evidence: Path) -> None:
    receipt = json.loads((evidence / "receipt.json").read_bytes())
    for where in ("../key", "/etc/passwd", "context/version", ""):
        receipt["image"]["where"] = where
        (evidence / "receipt.json").write_text(json.dumps(receipt))
        with pytest.raises(CustodyError, match="has no image"):
            image_of(evidence)
    receipt["image"]["where"] = "s3://bucket/key/image.lime"
    (evidence / "receipt.json").write_text(json.dumps(receipt))
    assert address_of(evidence) == "s3://bucket/key/image.lime"
    with pytest.raises(CustodyError, match="is at s3://"):
        image_of(evidence)


def test_a_copy_elsewhere_holds_as_well(evidence: Path, tmp_path: Path) -> None:
    shutil.copytree(evidence, tmp_path / "copy")
    assert verify(tmp_path / "copy").complete
