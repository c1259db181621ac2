# SPDX-License-Identifier: Apache-2.0
"""tests/lab/check eks: an EKS-shaped node (eks/eks.sh), built into the user's cache, its rows held against its truth.

containerd 2.x, runc 1.3, kernel 6.12, XFS, user namespaces, native sidecar, IRSA and Pod Identity, swap on zram, a
native snapshotter, a container outside Kubernetes. Two states of it: eks1, and eks2 with `kubectl debug node` and a pod
that is being deleted. By hand: it needs root, loop devices, Debian, Go, 8 GB of disk and half an hour.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.images import ROOT, cache
from tests.lab.eks_rows import differences
from tests.lab.pod_images import lab, memir, script

HERE = Path(__file__).resolve().parent / "eks"
STATES = ("eks1", "eks2")


def held() -> Path:
    """Where the images and their truth are kept."""
    return Path(os.environ.get("HELD") or cache() / "lab" / "eks" / "out")


def build() -> None:
    """All steps, after those of the plain lab node."""
    if not (lab() / "node.img").is_file():
        for step in ("1-packages.sh", "2-kubernetes.sh", "3-node.sh"):
            script(step)
    environment = os.environ | {"LAB": str(lab()), "HELD": str(held())}
    try:
        subprocess.run(["bash", HERE / "eks.sh", *STATES], cwd=ROOT, check=True, timeout=7200, env=environment)
    finally:
        subprocess.run(["bash", HERE / "7-down.sh"], check=False, timeout=60, env=environment)


def judge(name: str, *, cluster: bool) -> int:
    """Analyse one state, print every difference, and how many there are."""
    folder = held() / name
    case = folder / "case"
    shutil.rmtree(case, ignore_errors=True)
    given = ("--cluster", folder) if cluster else ()
    code, text, seconds = memir("analyze", folder / "node.raw", "-o", case, *given)
    if code not in {0, 3}:
        print(text)
        return 1
    lines = differences(case, folder, cluster=cluster)
    for line in lines:
        print(line)
    print(f"{name} {'with' if cluster else 'without'} the API: {len(lines)} differences, {seconds:.0f} s", flush=True)
    shutil.rmtree(case)
    return int(bool(lines))


def main(names: Sequence[str] = STATES) -> int:
    """0 if every row is as it was recorded."""
    if not all((held() / name / "node.raw").is_file() for name in names):
        build()
    return max(judge(name, cluster=cluster) for name in names for cluster in (False, True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or STATES))
