# SPDX-License-Identifier: Apache-2.0
"""tests/lab/check NAME...: compare memir with the recorded truth on images that the ordinary runs do not build.

pod-images and eks are whole Kubernetes nodes (pod_images.py, eks.py): root, Debian, Go and up to an hour each.
isolation is such a node with a real enforcer of NetworkPolicies (isolation.py); incident one with an intruder, from an
alert to findings and back (incident.py). oci-image imports memir's own image into a node's containerd (oci_image.py).
clean is a node with many ordinary workloads and no intruder (clean_image.py).
respond is an API server with its controllers and no node: Go, a minute once the binaries are there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable

from tests.images import ROOT
from tests.lab import clean_image, eks_image, incident, isolation, kube_image, oci_image, pod_images
from tests.lab.build_image import MACHINES, build, folder_of
from tests.respond.kube_rig import binaries

# what compares with what the guest told of itself
TESTS = ("tests/test_truth.py", "tests/test_intruders.py", "tests/hunt/test_owner.py", "tests/kernel/test_vma.py",
         "tests/kernel/test_sock.py", "tests/kernel/test_sockfs.py", "tests/tables/test_mounts.py",
         "tests/tables/test_sockets.py", "tests/tables/test_files.py", "tests/tables/test_modules.py",
         "tests/kube/test_addresses.py", "tests/kernel/test_frames_recorded.py", "tests/tables/test_recorded_acts.py",
         "tests/tables/test_recorded_large.py", "tests/agreement")  # fmt: skip
BUILT_BY_RUN = ("s-6.1-intruded", kube_image.NAME)


def respond() -> int:
    """The steps of a plan on a real API server with its controllers, each killed at every request."""
    environment = os.environ | {"CI": "true"}
    if binaries() is None:
        subprocess.run(["bash", str(ROOT / "tests/lab/kube/2-kubernetes.sh")], check=True)
    command = [sys.executable, "-m", "pytest", "-ra", "tests/respond", "tests/collect/fargate/test_real_api.py"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


NODES: dict[str, Callable[[], int]] = {
    "pod-images": pod_images.main, "eks": eks_image.main, "respond": respond, "isolation": isolation.main,
    "incident": incident.main, "oci-image": oci_image.main, "clean": clean_image.main,
}  # fmt: skip


def check(name: str) -> int:
    """pytest's exit code for one image, which is built unless it lies there; 5 (no test ran) is a failure too."""
    if name in NODES:
        return NODES[name]()
    folder = folder_of(name)
    if not (folder / f"{name}.raw.zst").is_file():
        build(name)
    environment = os.environ | {"MEMIR_IMAGES": str(folder)}
    command = [sys.executable, "-m", "pytest", "-ra", "-k", name, *TESTS]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def not_here() -> list[str]:
    """What no ordinary run boots, by name."""
    return [name for name in (*sorted(MACHINES), *NODES) if name not in BUILT_BY_RUN]


def main() -> int:
    """0 if every image is read as recorded."""
    parser = argparse.ArgumentParser(prog="tests/lab/check")
    parser.add_argument("name", nargs="*", choices=[*sorted(MACHINES), kube_image.NAME, *NODES, []])
    parser.add_argument("--not-here", action="store_true")
    given = parser.parse_args()
    if given.not_here:
        for name in not_here():
            print(f"not run here: tests/lab/check {name}")
        return 0
    if not given.name:
        parser.error("name an image")
    return max(check(name) for name in given.name)


if __name__ == "__main__":
    sys.exit(main())
