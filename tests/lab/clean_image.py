# SPDX-License-Identifier: Apache-2.0
"""tests/lab/check clean: a node with many ordinary workloads (clean/scenario.yaml), no intruder, and what memir says.

JVM, node.js, Go, nginx, PostgreSQL, a mesh's sidecar, a cron job, an agent with hostPID, privileged CNI and CSI
plugins, probes by exec, a package manager at a container's start, an open `kubectl debug`. It is built into the user's
cache once and read with the API's view and its audit log. What is high or critical here is false; what may be there
below that was written down before memir read the node (clean_labels.py). By hand: root, Debian, Go, 10 GB of disk,
half an hour.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from memir.case.case import Case
from tests.images import ROOT, cache
from tests.lab.clean_labels import SEVERITIES, expected
from tests.lab.isolation import OWN, alone, until
from tests.lab.isolation import build as build_parts
from tests.lab.packed import pack
from tests.lab.pod_images import kubectl, lab, memir, script

NAME = "clean-lab"
RAM = 1536  # MiB
HERE = Path(__file__).resolve().parent / "clean"
CPU = "max,la57=off,avx=off,avx2=off"
"""QEMU 7.2 emulates AVX2 wrongly (oci_image.py): a JVM would use it."""


def image() -> Path:
    """The folder of the image with its truth, its API's view and its audit log."""
    return cache() / "lab" / "clean-lab"


def _step(name: str) -> None:
    """One of clean/*.sh."""
    environment = os.environ | {"LAB": str(lab())}
    subprocess.run(["bash", HERE / name], cwd=ROOT, check=True, timeout=3600, env=environment)


def parts() -> None:
    """What needs the network: the plain lab node's parts, the roots of the images, the node's disk."""
    build_parts()
    os.environ["PARTS"] = str(lab())
    os.environ["LAB"] = str(lab().with_name("clean"))
    if not (lab() / "node.img").is_file():
        for step in ("1-roots.sh", "2-disk.sh"):
            _step(step)


def ready() -> bool:
    """Whether each pod that stays is ready."""
    words = ("get", "pods", "-A", "-l", "stays=yes", "-o")
    states = kubectl(*words, "jsonpath={range .items[*]}{.status.conditions[?(@.type=='Ready')].status} {end}").split()
    return len(states) >= 11 and set(states) == {b"True"}


def build() -> None:
    """Boot the node, wait for its pods, open the debug session, save its RAM and what is said of it."""
    out = image()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    given = {"SCENARIO": str(HERE / "scenario.yaml"), "CPU": CPU, "WANT": "11", "WAIT": "3000"}
    try:
        script("4-up.sh", str(RAM), "init_on_free=1", env=given)
        until("every pod to be ready", ready, 1800)
        _step("3-debug.sh")
        script("6-capture.sh", str(out), str(RAM))
    finally:
        script("7-down.sh")
    raw = out / "node.raw"
    pack(raw, out / f"{NAME}.raw.zst", 1)
    raw.unlink()


def judge() -> int:
    """Read the image once, print its findings and how many there are; 1 where one is not to be there."""
    folder = image()
    case = folder / "case"
    shutil.rmtree(case, ignore_errors=True)
    audit = folder / "audit.log"
    code, text, seconds = memir(
        "analyze", folder / f"{NAME}.raw.zst", "-o", case, "--cluster", folder, "--logs", audit, limit=3600
    )
    if code not in {0, 3}:
        print(text)
        return 1
    rows: list[dict[str, Any]] = Case(case)["findings"].to_pylist()
    wrong = 0
    for row in sorted(rows, key=lambda row: -SEVERITIES.index(row["severity"])):
        right = expected(row)
        wrong += not right
        where = f"{row['namespace']}/{row['pod_name']} {row['container_name']}" if row["pod_name"] else "the node"
        print(f"| {row['severity']} | {row['kind']} | {where} | {row['title']} | {'expected' if right else 'FALSE'} |")
    counts = Counter(row["severity"] for row in rows)
    pods = len(Case(case)["pods"].to_pylist())
    print(f"{pods} pods, {seconds:.0f} s; findings:", ", ".join(f"{counts[name]} {name}" for name in SEVERITIES[::-1]))
    return int(wrong > 0 or pods == 0)


def main() -> int:
    """0 if nothing false is told."""
    built = (image() / f"{NAME}.raw.zst").is_file()
    if not built and OWN not in os.environ:  # what needs the network comes before the namespace without one
        parts()
    if not built:
        if (code := alone("tests.lab.clean_image")) is not None:
            return code
        build()
    return judge()


if __name__ == "__main__":
    sys.exit(main())
