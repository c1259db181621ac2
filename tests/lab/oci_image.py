# SPDX-License-Identifier: Apache-2.0
"""tests/lab/check oci-image: the OCI image of release/oci_image.py in a node's containerd.

A Debian root and a wheel of what git has become an image without a registry. It lies before the emulated node as a
disk of its own, where the node's `ctr images import` reads it. `memir acquire pod --image` names it: what pod_images.py
holds of its own images is held of this one. kubelet runs `memir analyze` in it on a sample; what that prints and the
rows of its case are those of a run on this machine. Prints a table; exit code 1 if a line of it is wrong. By hand:
root, Debian with debootstrap, Go. In a network namespace of its own.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pyarrow.parquet

from memir import __version__
from release.build import epoch, packages
from tests.images import ROOT
from tests.lab.isolation import OWN, alone, build, until
from tests.lab.pod_images import Line, account, check_image, kubectl, lab, memir, node, script, tools

IMAGE = f"localhost/memir:{__version__}"
SAMPLE = ROOT / "samples/s-6.1-small.raw.zst"
POD = "memir-analyze"
FOLDER = "/root/memir-analyze"
"""On the node's disk, whose writes go with it."""
DISK = "/dev/vdb"
PLAIN = {"name": "NPY_DISABLE_CPU_FEATURES", "value": "X86_V3"}
"""QEMU 7.2 emulates AVX2 wrongly: numpy's argsort gives arrays that are not sorted there, and np.unique values twice.
The processor without it (-cpu avx2=off) ends memir with SIGILL: some library asks for less than it uses."""
LINES = 11
"""Of the table of a whole run."""


def archive() -> Path:
    """The image as a tar, from what git has now. Its layer is packed with zstd: the emulated processor unpacks it."""
    made = lab() / "oci"
    made.mkdir(parents=True, exist_ok=True)
    root, packed = made / "root", made / "memir.tar"
    if not (made / "root.done").exists():
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", "bookworm", root],
            check=True, timeout=1500,
        )  # fmt: skip
        (made / "root.done").touch()
    with tempfile.TemporaryDirectory(prefix="memir-oci-") as folder:
        _, wheel = packages(epoch(), Path(folder))
        shutil.rmtree(root / "opt/memir", ignore_errors=True)
        pack: list[str | Path] = [sys.executable, "-m", "release.oci_image", root, wheel, "-o", packed, "--zstd"]
        subprocess.run(pack, cwd=ROOT, check=True, timeout=1500)
    return packed


def bring() -> list[Line]:
    """Into the node's containerd, by its own client."""
    began = time.monotonic()
    listed = node(f"ctr -n k8s.io images import {DISK}; ctr -n k8s.io images ls -q", limit=3600)
    seconds, size = time.monotonic() - began, (lab() / "oci/memir.tar").stat().st_size
    line = Line("memir", "ctr images import", f"{IMAGE}, {size >> 20} MiB, {seconds:.0f} s", IMAGE in listed.split())
    print(line, flush=True)
    return [line]


def pod() -> dict[str, object]:
    """The image's own entry point on a sample, without a token or a right."""
    container = {
        "name": "memir", "image": IMAGE, "imagePullPolicy": "Never", "env": [PLAIN],
        "args": ["analyze", "/data/image", "-o", "/data/case", "--cache", "/data/cache"],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }  # fmt: skip
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": "default"},
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container],
            "volumes": [{"name": "data", "hostPath": {"path": FOLDER}}],
        },
    }  # fmt: skip


def said(text: str) -> list[str]:
    """What does not name where the image and the case lie."""
    return [line.rstrip() for line in text.splitlines() if not line.startswith(("Evidence", "Case written"))]


def fetched(folder: Path) -> Path:
    """The pod's case, from the node, as folder/case."""
    packed = base64.b64decode(node(f"tar -C {FOLDER} -cf - case | base64"))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "case"


def compared(here: Path, there: Path) -> tuple[str, bool]:
    """Every table of two cases, row by row and column by column."""
    names = sorted(path.name for path in (here / "tables").iterdir())
    if names != sorted(path.name for path in (there / "tables").iterdir()):
        return "not the same tables", False
    pairs = [[pyarrow.parquet.read_table(case / "tables" / name) for case in (here, there)] for name in names]
    other = []
    for name, (one, two) in zip(names, pairs, strict=True):
        if not one.equals(two):
            other.append(name)
            rows = [row for row in zip(one.to_pylist(), two.to_pylist(), strict=False) if row[0] != row[1]]
            print(f"{name}: {one.num_rows} and {two.num_rows} rows, {len(rows)} not the same, the first:", *rows[:2])
    number = sum(one.num_rows for one, _ in pairs)
    value = f"other rows in {', '.join(other)}" if other else f"{number} rows of {len(names)} tables: this machine's"
    return value, not other and number > 0


def analyze(out: Path) -> list[Line]:
    """`memir analyze` by kubelet, its words and rows held against this machine's."""
    node(f"mkdir -p {FOLDER} && cat > {FOLDER}/image", data=SAMPLE.read_bytes())
    kubectl("apply", "-f", "-", data=json.dumps(pod()).encode())

    def phase() -> str:
        return str(json.loads(kubectl("get", "pod", POD, "-o", "json"))["status"].get("phase"))

    seconds = until("memir analyze in the pod", lambda: phase() in ("Succeeded", "Failed"), 3600)
    text, ended = kubectl("logs", POD).decode(), phase()
    lines = [Line("memir", "kubelet runs `memir analyze` in it", f"{ended}, {seconds:.0f} s", ended == "Succeeded")]
    print(lines[0], flush=True)
    if not lines[0].right:
        print(text)
        return lines
    for name in ("here", "case"):
        shutil.rmtree(out / name, ignore_errors=True)
    code, here, _ = memir("analyze", SAMPLE, "-o", out / "here", "--cache", out / "cache")
    if code:
        raise SystemExit(f"memir analyze ended with {code}: {here}")
    lines.append(Line("memir", "its case", *compared(out / "here", fetched(out))))
    same = said(text) == said(here)
    if not same:
        print(text)
    value = f"{len(said(text))} lines: " + ("this machine's" if same else "not this machine's")
    lines.append(Line("memir", "what it prints", value, same))
    kubectl("delete", "pod", POD, "--wait")
    node(f"rm -rf {FOLDER}")
    return lines


def main() -> int:
    """0 if every line is right."""
    if OWN not in os.environ:  # what needs the network comes before the namespace without one
        build()
        tools()
        archive()
    if (code := alone("tests.lab.oci_image")) is not None:
        return code
    out = lab() / "out" / "oci-image"
    out.mkdir(parents=True, exist_ok=True)
    out.chmod(0o700)
    lines: list[Line] = []
    try:
        drive = {"DRIVE": str(lab() / "oci/memir.tar")}
        script("4-up.sh", os.environ.get("MB", "2048"), "init_on_free=1", env=drive)
        lines += bring()
        lines += check_image("memir", account(), None, out, IMAGE)
        lines += analyze(out)
    finally:
        script("7-down.sh")
    for one in lines:
        print(f"| {one.point} | {one.value} | {'right' if one.right else 'WRONG'} |")
    return int(len(lines) != LINES or not all(one.right for one in lines))


if __name__ == "__main__":
    sys.exit(main())
