# SPDX-License-Identifier: Apache-2.0
"""The script and the input by which a node runs the collector (node/) from memory."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

PACKAGES = ("memir", "memir.collect", "memir.collect.node")
MODULES = (
    "frames", "procfs", "overlay", "layer", "core", "runtime", "bolt", "snapshots", "archive", "collector",
)  # fmt: skip
BESIDE = ("frames", "procfs", "overlay", "layer", "core", "access", "changed", "beside")
"""Each in the order in which they import each other; the last has `main`. On a node, and in a pod beside its own."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is collected. uid: of the pod; containers: ids that the API server knows (beside: and when each began).

    archives: checkpoints that the kubelet has written, by container; with them nothing else is collected.
    """

    uid: str
    containers: Sequence[str] | Mapping[str, float] = ()
    memory: bool = True
    rootfs: bool = False
    archives: Mapping[str, str] = field(default_factory=dict)


def script(root: str = "") -> str:
    """The shell script; it reads what `bundle` gives. root: the node's root as seen from there, "" for its own."""
    text = _text("collect.sh")
    return f"LOADER={shlex.quote(_text('loader.py'))}\nROOT={shlex.quote(root)}\n{text}"


def bundle(request: Request, names: Sequence[str] = MODULES, more: Mapping[str, bool | str] | None = None) -> bytes:
    """The collector's modules and the request as one line, for the script's standard input. more: of the request."""
    modules = [(name, "") for name in PACKAGES]
    modules += [(f"{PACKAGES[-1]}.{name}", _text(f"{name}.py")) for name in names]
    known = request.containers
    wanted = {
        "uid": request.uid, "containers": dict(known) if isinstance(known, Mapping) else list(known),
        "memory": request.memory, "rootfs": request.rootfs, "archives": dict(request.archives), **(more or {}),
    }  # fmt: skip
    return json.dumps({"modules": modules, "request": wanted}, ensure_ascii=True).encode() + b"\n"


def _text(name: str) -> str:
    return (files("memir.collect") / "node" / name).read_text(encoding="utf-8")
