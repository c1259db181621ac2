# SPDX-License-Identifier: Apache-2.0
"""Layers of containers that have ended, by containerd's databases."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from memir.collect.node import snapshots
from memir.collect.node.frames import Frames
from memir.collect.node.overlay import Mount
from memir.collect.node.snapshots import containerd_of, write_known
from tests.collect.containerd import META, OVERLAYFS, write
from tests.collect.streams import items

POD = ("shop", "web-1", "11111111-2222-3333-4444-555555555555")
INIT, OLD, GONE, LAZY, BARE = (letter * 64 for letter in "abcde")
ENDED: dict[str, tuple[str, int | None, str]] = {
    INIT: ("wait", 3, "overlayfs"), OLD: ("web", 4, "overlayfs"), GONE: ("web", None, "overlayfs"),
    LAZY: ("web", 5, "soci"), BARE: ("web", 6, "overlayfs"),
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, POD, ENDED)
    for number in (1, 3, 4):
        (tmp_path / OVERLAYFS / f"snapshots/{number}/fs").mkdir(parents=True)
    return tmp_path


def mounted(root: Path) -> list[Mount]:
    return [Mount("0:1", "/", "/x", "overlay", "overlay", f"rw,upperdir={root}/{OVERLAYFS}/snapshots/2/fs")]


def test_by_the_pods_uid(root: Path) -> None:
    known = containerd_of(POD[2], [], mounted(root))
    assert (known.root, known.why, set(known.containers)) == (str(root), "", set(ENDED))
    assert {ident: layer.upper for ident, layer in known.layers.items()} == {
        INIT: f"{root}/{OVERLAYFS}/snapshots/3/fs", OLD: f"{root}/{OVERLAYFS}/snapshots/4/fs",
    }  # fmt: skip
    assert known.layers[INIT].lower == [f"{root}/{OVERLAYFS}/snapshots/1/fs"]
    assert known.layers[INIT].witness == f"containerd's database: snapshot k8s.io/3/{INIT}"
    assert known.without == {
        GONE: "containerd knows the container and has no snapshot of it any more",
        LAZY: "its snapshot is of soci, and overlayfs's alone are read",
        BARE: f"its snapshot k8s.io/6/{BARE} is gone from {root}/{OVERLAYFS}",
    }  # fmt: skip
    assert json.loads(known.containers[INIT].spec)["process"]["args"] == ["/wait"]


def test_by_id_and_by_default(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(containerd_of("", [OLD], mounted(root)).containers) == {OLD}
    assert containerd_of("another", [], mounted(root)).containers == {}
    monkeypatch.setattr(snapshots, "ROOTS", ("/nowhere", str(root)))
    assert containerd_of(POD[2], [], []).root == str(root)
    monkeypatch.setattr(snapshots, "ROOTS", ())
    assert containerd_of(POD[2], [], []).root == ""


def test_a_database_that_is_none(root: Path) -> None:
    (root / META).write_bytes(b"x" * 9000)
    known = containerd_of(POD[2], [], mounted(root))
    assert (known.why, known.containers) == ("has no meta page of bbolt's", {})


def test_what_is_written_of_them(root: Path) -> None:
    known = containerd_of(POD[2], [], mounted(root))
    out = io.BytesIO()
    frames = Frames(out)
    write_known(frames, {INIT: known.containers[INIT], OLD: known.containers[OLD]._replace(spec=b"")})
    frames.end({})
    files, _ = items(out.getvalue())
    assert set(files) == {
        f"node/runtime/{INIT}/containerd/config.json", f"node/runtime/{INIT}/containerd/container.json",
        f"node/runtime/{OLD}/containerd/container.json",
    }  # fmt: skip
    facts = json.loads(files[f"node/runtime/{INIT}/containerd/container.json"][0])
    assert facts["labels"]["io.kubernetes.container.name"] == "wait"
    assert (facts["image"], facts["snapshot"]) == ("registry.example/wait:1", INIT)


@pytest.mark.parametrize("data", [b"", b"\x0a", b"\x12\x85", b"\x08\x01", b"\x12\x05abc", b"\xff" * 20])
def test_an_any_that_is_none(data: bytes) -> None:
    assert snapshots._any_value(data) == b""
