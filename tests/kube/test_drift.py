# SPDX-License-Identifier: Apache-2.0
"""What was done to files of upper layers, by overlay, and which of it is what every container has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from memir.kube import drift
from memir.kube.ram import RamSource
from tests.images import case

NodeOf = Callable[[str], RamSource]
SMALL = ("s-5.10-small-v1", "s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")


@pytest.mark.parametrize("name", SMALL)
def test_created_and_modified(name: str, node_of: NodeOf) -> None:
    """Of the image there are the root and, in containers but not in sandboxes, /etc; all else was made since."""
    node = node_of(name)
    every = node.inodes
    change = drift.changes(node, every)
    upper = {
        every.names.inside[every.row[row]]: change[row] for row, layer in enumerate(every.layer) if layer == "upper"
    }
    assert {path for path, word in upper.items() if word == "modified"} <= {b"/", b"/etc"}
    assert {word for path, word in upper.items() if path not in (b"/", b"/etc")} == {"created"}
    assert {change[row] for row, layer in enumerate(every.layer) if layer != "upper"} == {None}


@pytest.mark.parametrize("name", SMALL)
def test_noise(name: str, node_of: NodeOf) -> None:
    """Files that the recorder found empty are all noise; the log is none."""
    node = node_of(name)
    every = node.inodes
    noise = drift.noise(node, every, drift.changes(node, every))
    reasons = {
        (every.names.on_node[every.row[row]] or b"").decode(): noise[row]
        for row, layer in enumerate(every.layer)
        if layer == "upper"
    }
    for entry in case(name).raw_truth()["upper"]:
        assert (reasons[entry["file"]] is None) == (entry["size"] > 0), entry
    assert Counter(reasons.values())["mount point"] > 40
    points = drift.mount_points(node)
    assert set(points) == node.file_owners.overlays
    whole = {"/proc", "/sys", "/dev", "/etc", "/etc/hostname", "/var/run/secrets"}
    assert sum(whole <= seen for seen in points.values()) >= 4


@pytest.mark.parametrize(
    ("path", "plain", "directory", "change", "reason"),
    [
        ("/data", True, True, "created", "mount point"), ("/etc/hosts", True, False, "created", "runtime"),
        ("/etc/hosts", False, False, "created", None), ("/etc", True, True, "modified", "directory"),
        ("/srv", True, True, "created", None),
        ("/tmp", True, True, "created", "directory"),
        ("/var/log", True, True, "opaque", None),
        ("/tmp", True, False, "created", None),
        ("/a/__pycache__", True, True, "created", "bytecode"),
        ("/a/__pycache__/b.pyc", False, False, "created", "bytecode"),
        ("/a/__pycache__/x.sh", False, False, "created", None),
        ("/run/nginx.pid", False, False, "created", "pid file"),
        ("/var/run/a/b.pid", False, False, "modified", "pid file"),
        ("/tmp/run/x.pid", False, False, "created", None),
    ],
)  # fmt: skip
def test_reasons(path: str, plain: bool, directory: bool, change: str, reason: str | None) -> None:
    assert drift.reason(path, plain, directory, change, {"/data"}) == reason


def test_whiteouts_and_opaque_directories(node_of: NodeOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device 0:0 in the place of a file; a directory marked opaque, in whose place a layer below has one, or not."""
    node = node_of("s-6.1-small")
    every = node.inodes
    rows = {every.names.inside[name]: row for row, name in enumerate(every.row.tolist()) if every.layer[row] == "upper"}
    log, root, tmp = (rows[path] for path in (b"/tmp/server.log", b"/", b"/tmp"))
    mode = every.inodes.mode.copy()
    mode[log] = 2 << 12
    made = replace(every, inodes=replace(every.inodes, mode=mode))
    real = drift._of_overlays(node, made, np.flatnonzero([layer == "upper" for layer in every.layer]))
    monkeypatch.setattr(drift, "_of_overlays", lambda *_: (real[0], np.ones(len(real[0]), bool)))
    change = drift.changes(node, made)
    assert (change[log], change[root], change[tmp]) == ("whiteout", "opaque", "created")
