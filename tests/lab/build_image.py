# SPDX-License-Identifier: Apache-2.0
"""tests/lab/build NAME...: boot a node in software emulation, save its RAM, with truth and labels beside it.

Images go to `lab/images` in the user's cache ($MEMIR_CACHE, $XDG_CACHE_HOME/memir, ~/.cache/memir); the kernels'
packages and what is compiled for the guest to `lab/small`. Needs Debian (apt-get, dpkg-deb), gcc and QEMU. No network
but Debian's archive, no root, and nothing is installed. node-lab is a whole Kubernetes node: kube_image.py.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.images import cache
from tests.lab import kube_image
from tests.lab.packed import pack

HERE = Path(__file__).resolve().parent / "small"
_SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "7.2": "forky"}
_SMALL = "init_on_free=1"  # freed pages are zeros: a third of the size when packed


@dataclass(frozen=True)
class Machine:
    """How a guest is booted. ram: MiB. intruded: with the pods and intruders of pods.py; second: with those of
    second.py; recorded: with those of recorded.py, and stopped when the kernel has told each frame; hidden: with no
    pod, and the module of hidden.py; held: with no pod, and what held.py holds; else three plain pods."""

    kernel: str
    ram: int
    cpu: str = "max,la57=off"
    command_line: str = _SMALL
    intruded: bool = False
    second: bool = False
    recorded: bool = False
    hidden: bool = False
    held: bool = False


MACHINES = {
    "s-5.10-small": Machine("5.10", 160),
    "s-5.10-small-v1": Machine("5.10", 160, command_line=f"{_SMALL} memir.cg=1 cgroup_enable=memory"),
    "s-6.1-small": Machine("6.1", 192),
    "s-6.1-small-la57": Machine("6.1", 192, "max"),
    "s-6.12-small": Machine("6.12", 192),
    "s-7.2-small": Machine("7.2", 224),
    "s-7.2-small-la57": Machine("7.2", 224, "max"),
    "s-6.1-intruded": Machine("6.1", 192, intruded=True),
    "s-6.12-intruded": Machine("6.12", 192, intruded=True),
    "s-7.2-intruded": Machine("7.2", 224, "max", intruded=True),
    "s-6.1-second": Machine("6.1", 192, command_line=f"{_SMALL} no_timer_check", second=True),
    "s-5.10-recorded": Machine("5.10", 192, recorded=True),
    "s-6.1-recorded": Machine("6.1", 192, recorded=True),
    "s-6.12-recorded": Machine("6.12", 192, recorded=True),
    "s-7.2-recorded": Machine("7.2", 224, "max", recorded=True),
    "s-6.1-hidden": Machine("6.1", 192, command_line=f"{_SMALL} no_timer_check", hidden=True),
    "s-6.1-held": Machine("6.1", 192, command_line=f"{_SMALL} no_timer_check", held=True),
    # bigger, with what ended processes leave
    "s-6.1-512": Machine("6.1", 512, command_line=""),
    "s-6.12-512": Machine("6.12", 512, command_line=""),
}


def images() -> Path:
    """Where small images are put: the long run takes all that lie there."""
    return cache() / "lab" / "images"


def folder_of(name: str) -> Path:
    """Where an image is put. Apart: the one that stays unread, and those that have tests of their own."""
    if name == kube_image.NAME:
        return images().with_name("nodes")
    if MACHINES[name].recorded:
        return images().with_name("recorded")
    return images().with_name("second") if MACHINES[name].second else images()


def _work() -> Path:
    return cache() / "lab" / "small"


def _run(*command: str | Path, **environment: str) -> None:
    subprocess.run([str(word) for word in command], check=True, env=os.environ | {"M": str(_work())} | environment)


def build(name: str) -> Path:
    """Boot and save one machine; returns the packed image. What lay there before is replaced when all is done."""
    if name == kube_image.NAME:
        return kube_image.build(folder_of(name))
    machine = MACHINES[name]
    _work().mkdir(parents=True, exist_ok=True)
    if not (_work() / "k" / machine.kernel).is_dir():
        _run("bash", HERE / "fetch-debs.sh", _SUITES[machine.kernel])
    _boot(name, machine)
    raw, truth = _work() / f"{name}.raw", _work() / f"{name}.truth.txt"
    lost = [line for line in truth.read_text(errors="replace").splitlines() if line.endswith(" FAILED")]
    if lost:
        raise SystemExit(f"{name}: {lost}")
    return _finish(name, machine, raw, truth)


def _boot(name: str, machine: Machine) -> None:
    with tempfile.TemporaryDirectory(dir=_work()) as temporary:
        folder = Path(temporary) / "guest"  # laid over the guest's root
        folder.mkdir()
        spec = {}
        if machine.intruded:
            from tests.lab import scenario

            scenario.write(folder)
            spec = {"SPEC": str(folder)}
        if machine.second:
            from tests.lab import second

            second.write(folder)
            spec = {"SPEC": str(folder)}
        if machine.hidden:
            from tests.lab import hidden

            hidden.write(folder, _work() / "k" / machine.kernel)
            spec = {"SPEC": str(folder)}
        if machine.held:
            from tests.lab import held

            held.write(folder)
            spec = {"SPEC": str(folder), "MODS": " ".join(held.MODULES)}
        if machine.recorded:
            from tests.lab import recorded

            recorded.write(folder)
            recorded.packages(_work(), folder)
            disk = folder.with_name("disk")
            recorded.make_disk(_work(), disk)
            spec = {"SPEC": str(folder), "PORT": "1", "DISK": str(disk), "MODS": " ".join(recorded.MODULES)}
        boot = ("bash", HERE / "boot.sh", name, machine.kernel, str(machine.ram), machine.cpu, machine.command_line)
        _run(*boot, **spec)


def _finish(name: str, machine: Machine, raw: Path, truth: Path) -> Path:
    folder = folder_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    if machine.second:
        from tests.lab import second

        document = {"image": name, "labels": second.labels(truth)}
        (folder / f"{name}.labels.json").write_text(json.dumps(document, indent=1) + "\n")
        (folder / f"{name}.pods.json").write_text(json.dumps(second.pods_json(), indent=1) + "\n")
    if machine.intruded:
        from tests.lab import documents, labels

        made = labels.make(raw, truth)
        (folder / f"{name}.labels.json").write_text(json.dumps(made, indent=1) + "\n")
        (folder / f"{name}.pods.json").write_text(json.dumps(documents.pods_json(), indent=1) + "\n")
    if machine.recorded:
        _without_deleted(truth)
        pack(raw.with_suffix(".frames"), folder / f"{name}.frames.zst", 19)
    packed = folder / f"{name}.raw.zst"
    pack(raw, packed, 19)
    shutil.copy(truth, folder / truth.name)
    raw.unlink()
    return packed


def _without_deleted(truth: Path) -> None:
    """Take the containers of deleted pods out of the list of those that run: they were gone when the rest was told."""
    lines = truth.read_text(errors="surrogateescape").splitlines(keepends=True)
    told = [json.loads(line.split(" ", 1)[1]) for line in lines if line.startswith("@TOLD ")]
    gone = [f'"uid":"{record["uid"]}"' for record in told if record["what"] == "deleted"]
    kept = [line for line in lines if not (line.startswith("@POD ") and any(uid in line for uid in gone))]
    truth.write_text("".join(kept), errors="surrogateescape")


def main() -> None:
    """Build the named images."""
    parser = argparse.ArgumentParser(prog="tests/lab/build", description="Boot a node and save its RAM with its truth.")
    parser.add_argument("name", nargs="+", choices=[*sorted(MACHINES), kube_image.NAME])
    for name in parser.parse_args().name:
        packed = build(name)
        print(f"{packed} {packed.stat().st_size >> 20} MiB", flush=True)


if __name__ == "__main__":
    main()
