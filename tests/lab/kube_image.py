# SPDX-License-Identifier: Apache-2.0
"""The image node-lab: a Kubernetes node (kube/*.sh) with workload and intruder, its truth and the API's view.

tests/lab/build node-lab builds it into the user's cache: kubelet and control plane from their source, the node's disk,
a boot in software emulation. About 16 minutes on two cores; it needs root, Debian, Go and 8 GB of disk.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.packed import pack
from tests.lab.pod_images import lab, script

NAME = "node-lab"
RAM = 768  # MiB
STEPS = ("1-packages.sh", "2-kubernetes.sh", "3-node.sh")


def build(folder: Path) -> Path:
    """Boot the node, intrude, save its RAM to `folder`; returns the packed image."""
    if not (lab() / "node.img").is_file():
        for step in STEPS:
            script(step)
    out = lab() / "out" / NAME
    shutil.rmtree(out, ignore_errors=True)
    try:
        script("4-up.sh", str(RAM), "init_on_free=1")
        script("5-attack.sh")
        script("6-capture.sh", str(out), str(RAM))
    finally:
        script("7-down.sh")
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("truth.json", "pods.json"):
        shutil.copy(out / kind, folder / f"{NAME}.{kind}")
    packed = folder / f"{NAME}.raw.zst"
    pack(out / "node.raw", packed, 1)
    shutil.rmtree(out)
    return packed
