# SPDX-License-Identifier: Apache-2.0
"""The whole node side in a node of this machine, as the script runs it."""

from __future__ import annotations

import io
import subprocess
from typing import Any

from memir.acquire.transports.local import LocalTransport
from memir.collect.node.collector import collect, main, why_none, write_layers
from memir.collect.node.frames import Frames
from memir.collect.node.overlay import Root
from memir.collect.node.snapshots import Containerd, Known
from memir.collect.node_side import MODULES, PACKAGES, Request, bundle, script
from tests.collect.podrig import PodRig
from tests.collect.streams import items


def on_node(pod: PodRig, text: str = "", request: Request | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Files and last line of a run; text: a module in the place of the collector."""
    import json

    given = bundle(request or Request(pod.uid))
    if text:
        document = json.loads(given)
        document["modules"][-1] = (f"{PACKAGES[-1]}.{MODULES[-1]}", text)
        given = json.dumps(document).encode() + b"\n"
    command = LocalTransport(pod.root).command(script())
    done = subprocess.run(command, input=given, capture_output=True, check=True, timeout=120)
    assert done.stderr == b""
    return items(done.stdout)


def test_everything_of_a_pod(pod: PodRig) -> None:
    files, end = on_node(pod, request=Request(pod.uid, [pod.container], memory=False, rootfs=True))
    kinds = {"/".join(name.split("/")[:2]) for name in files}
    assert kinds == {"node/processes.jsonl", "clear/processes.jsonl", "node/net", "node/mounts", "node/deleted",
                     "node/runtime", "node/logs", "node/containers"}  # fmt: skip
    place = f"node/containers/{pod.container}"
    assert {f"{place}/upper.tar", f"{place}/rootfs.tar"} <= files.keys()
    facts = end["facts"]
    assert (facts["processes"], facts["log_files"]) == (3, 2)
    assert facts["containers"] == sorted([pod.container, pod.sandbox])
    assert facts["roots"][pod.container]["witness"] == "the node's mount table"
    assert [gap for gap in end["gaps"] if gap["missing"]] == []
    assert pod.left() == [], "nothing is written on the node"


def test_a_node_that_does_not_know_the_pod() -> None:
    out = io.BytesIO()
    collect(Frames(out), {"uid": "00000000-0000-0000-0000-000000000000", "containers": [], "memory": True})
    files, end = items(out.getvalue())
    assert files["node/processes.jsonl"][0] == b""
    assert (end["facts"]["processes"], end["facts"]["containers"]) == (0, [])


def test_root_file_systems_without_a_writable_layer() -> None:
    out = io.BytesIO()
    frames = Frames(out)
    write_layers(frames, "a", Root("overlay", "", "/none/upper", [], "", "w"), [], True)
    write_layers(frames, "b", Root("btrfs", "", "", [], "", "w"), [], False)
    write_layers(frames, "c", Root("overlay", "", "", [], "", "w"), [], False)
    frames.end({})
    _, end = items(out.getvalue())
    assert [(gap["kind"], gap["where"], gap["missing"]) for gap in end["gaps"]] == [
        ("file system", "/none/upper", True), ("root file system", "a", False), ("writable layer", "b", True),
        ("writable layer", "c", False),
    ]  # fmt: skip


def test_why_there_is_no_layer() -> None:
    known = Known({}, "", "soci", "a", b"")
    for words, containerd in (
        ("no database of containerd's", Containerd("", "", {}, {}, {})),
        ("/c/io.containerd.metadata.v1.bolt/meta.db cannot be read: torn", Containerd("/c", "torn", {}, {}, {})),
        ("containerd has removed it and its layer", Containerd("/c", "", {}, {}, {})),
        ("it has ended: of soci", Containerd("/c", "", {"a": known}, {}, {"a": "of soci"})),
    ):
        assert words in why_none("a", containerd)


def test_main_writes_to_standard_output(capfdbinary: Any) -> None:
    main({"uid": "00000000-0000-0000-0000-000000000000", "containers": []})
    _, end = items(capfdbinary.readouterr().out)
    assert end["facts"]["processes"] == 0
