# SPDX-License-Identifier: Apache-2.0
"""What is opened as a node, with what beside it, and what is refused."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

import memir
from memir import open_node
from memir.errors import ImageError, SymbolsError, UsageError
from memir.kernel.reference_image import ImageReference
from memir.kernel.reference_text import Reference
from tests.collected.made import folder
from tests.images import cache, case


def test_open_finds_the_kernel_and_takes_the_cluster_given(tmp_path: Path) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n", "uid": "u"}}
    (tmp_path / "pods.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod]}))
    with open_node.open(case("s-6.1-small").image, cluster=tmp_path / "pods.json", cache=cache()) as node:
        assert node.anchors.release == "6.1.0-50-cloud-amd64"
        assert node.cluster == str(tmp_path / "pods.json")


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be opened"):
        memir.open(tmp_path / "absent.raw")
    with pytest.raises(UsageError, match="base here: not a number"):
        memir.open(case("s-6.1-small").image, base="here")


def test_open_memory_takes_a_base(tmp_path: Path) -> None:
    (tmp_path / "part.raw").write_bytes(bytes(8 << 20))
    with open_node.open_memory(tmp_path / "part.raw", base="0x40000000") as memory:
        assert memory.ranges[0].start == 0x4000_0000
    with open_node.open_memory(tmp_path / "part.raw", base=4096) as memory:
        assert memory.ranges[0].start == 4096


def test_cluster_beside_an_evidence_folder_only(tmp_path: Path) -> None:
    assert open_node.cluster_beside(tmp_path) is None
    assert open_node.cluster_beside("s3://bucket/run") is None


def test_a_collected_pod_is_told_by_its_receipt(tmp_path: Path) -> None:
    assert open_node.is_collected(folder(tmp_path / "ev"))
    assert not open_node.is_collected(tmp_path)
    assert not open_node.is_collected("s3://bucket/run")
    with pytest.raises(UsageError, match="is a collected pod, which has no kernel"):
        open_node.open_memory(tmp_path / "ev")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEMIR_CACHE", str(tmp_path / "a"))
    assert open_node.cache_folder() == tmp_path / "a"
    assert open_node.cache_folder("b") == Path("b")
    monkeypatch.delenv("MEMIR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert open_node.cache_folder() == tmp_path / "memir"


def test_without_secrets_they_were_not_looked_for(tmp_path: Path) -> None:
    """No table, never an empty one; a gap says so, and so do the findings that need it."""
    with memir.open(case("s-6.1-small").image, cache=cache(), secrets=False) as node:
        assert "secrets" not in node.tables
        with pytest.raises(UsageError, match="was left out"):
            node["secrets"]
        assert [(gap.kind, gap.where, gap.why) for gap in node.gaps if gap.kind == "table"] == [
            ("table", "secrets", "left out as asked (--no-secrets): not looked for")
        ]
        node.save(tmp_path / "case", tables=["processes", "pods"])
    record = json.loads((tmp_path / "case" / "case.json").read_text())
    assert "secrets" not in str(sorted(path.name for path in (tmp_path / "case" / "tables").iterdir()))
    assert "left out as asked (--no-secrets): not looked for" in json.dumps(record)
    with pytest.raises(UsageError, match="both asked for"):
        memir.analyze(case("s-6.1-small").image, cache=cache(), secrets=False, tables=["secrets"])


def test_logs_here() -> None:
    with ExitStack() as stack:
        assert open_node.logs_here(["a", Path("b")], stack) == ["a", Path("b")]


def test_another_image_as_reference(tmp_path: Path) -> None:
    """One of the same build is taken; one of another build, and what is neither kernel nor image, are refused."""
    image = case("s-6.1-small").image
    with memir.open(image, reference=image.with_name("s-6.1-hidden.raw.zst"), cache=cache()) as node:
        assert isinstance(node.source.reference, ImageReference) and node.source.reference.sites > 20_000
    with pytest.raises(SymbolsError, match=r"an image of another kernel's build .build id [0-9a-f]{40}, the analysed"):
        memir.open(image, reference=case("s-5.10-small-v1").image, cache=cache())
    text = tmp_path / "notes.txt"
    text.write_text("no kernel\n")
    with pytest.raises(SymbolsError, match=r"neither a vmlinuz or vmlinux nor an image: .*notes\.txt"):
        memir.open(image, reference=text, cache=cache())
    blank = tmp_path / "blank.raw"
    blank.write_bytes(bytes(1 << 20))
    with pytest.raises(SymbolsError, match="neither a vmlinuz or vmlinux nor an image with a kernel in it: "):
        memir.open(image, reference=blank, cache=cache())
    with pytest.raises(SymbolsError, match=r"absent: cannot be read"):
        memir.open(image, reference=tmp_path / "absent", cache=cache())


def test_reference_of_the_kernel_s_build(tmp_path: Path) -> None:
    """It is looked at when the image is opened, and refused for what has no kernel."""
    vmlinuz = case("s-6.1-small").image.parent / "s-6.1-small.vmlinuz"
    with memir.open(case("s-6.1-small").image, reference=vmlinuz, cache=cache()) as node:
        assert isinstance(node.source.reference, Reference) and node.source.reference.text == 256 << 10
    with pytest.raises(SymbolsError, match="another kernel's build"):
        memir.open(case("s-5.10-small-v1").image, reference=vmlinuz, cache=cache())
    with pytest.raises(UsageError, match=r"--reference: .* which has no kernel: leave it out"):
        memir.open(folder(tmp_path / "ev"), reference=vmlinuz)
