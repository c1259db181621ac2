# SPDX-License-Identifier: Apache-2.0
"""The real images that tests run on, and the truth recorded beside them.

Always those of samples/; in the long run (tests/run --all) also those in the folders of MEMIR_IMAGES (":" between).
An image is NAME.raw, .lime or .elf, packed or not, with NAME.truth.txt or NAME.truth.json(.gz) beside it. Intruded
nodes have NAME.labels.json (tests/lab/labels.py) and NAME.pods.json (the API server's pods) too.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from memir.image.memory import PhysicalMemory
from memir.image.open import open_image
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols.locate import locate

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
_KINDS = ("raw", "lime", "elf")
_NS = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time")


@dataclass(frozen=True)
class Truth:
    """One process as /proc showed it. None: the recording does not hold it. args, environ: raw text, NUL-separated."""

    pid: int
    ppid: int
    comm: str
    uid: int
    cap_effective: int
    seccomp: int | None
    nspid: list[int]
    threads: int
    kernel_thread: bool
    namespaces: dict[str, int]
    cgroups: list[str]
    exe: str | None
    args: list[str] | None
    environ: list[str] | None
    start_ticks: int | None


@dataclass(frozen=True)
class ImageCase:
    """An image and its truth."""

    name: str
    image: Path
    truth: Path

    @property
    def sample(self) -> bool:
        """Whether it comes with the project."""
        return self.image.parent == ROOT / "samples"

    @property
    def small(self) -> bool:
        """Whether its truth is that of the small lab's guests (small_records), not of a Kubernetes node."""
        return self.truth.suffix == ".txt"

    def open(self) -> PhysicalMemory:
        return open_image(self.image, cache=cache())

    def recorded(self) -> dict[int, Truth]:
        """Processes by pid."""
        return _small(self.truth) if self.small else _node(self.truth)

    def beside(self, kind: str) -> Path:
        """The file `NAME.kind` beside the truth, there or not."""
        return self.truth.with_name(f"{self.name}.{kind}")

    def labels(self) -> dict[str, Any]:
        """What an analyst should conclude: NAME.labels.json, empty lists where there is none."""
        path = self.beside("labels.json")
        labels: dict[str, Any] = (
            json.loads(path.read_text()) if path.is_file() else {"processes": [], "pods": [], "containers": []}
        )
        return labels

    def raw_truth(self) -> Any:
        return small_records(self.truth) if self.small else _json(self.truth)


def node_at(image: Path) -> RamSource:
    """The node of an image file."""
    memory = open_image(image, cache=cache())
    return RamSource(Kernel(memory, locate(memory)))


def cache() -> Path:
    return Path(
        os.environ.get("MEMIR_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memir"
    )


def _folders() -> list[Path]:
    named = [Path(folder) for folder in os.environ.get("MEMIR_IMAGES", "").split(":") if folder]
    absent = [str(folder) for folder in named if not folder.is_dir()]
    assert not absent, f"MEMIR_IMAGES names folders that are not there: {', '.join(absent)}"
    return [ROOT / "samples", *named]


@functools.cache
def cases() -> dict[str, ImageCase]:
    """All images by name; where two folders have an image of one name, the sample or the first one counts."""
    found: dict[str, ImageCase] = {}
    for folder in _folders():
        known = set(found)
        for truth in sorted(folder.glob("*.truth.*")):
            name = truth.name.split(".truth.")[0]
            if name in known:
                continue
            for kind in _KINDS:
                for packed in ("", ".zst", ".gz"):
                    image = folder / f"{name}.{kind}{packed}"
                    if image.is_file():
                        found.setdefault(name if name not in found else f"{name}.{kind}", ImageCase(name, image, truth))
    return found


def kept(read: Callable[[str], T]) -> Callable[[str], T]:
    """`read` of an image by its name, kept: of samples, which are small, all; of others the last two."""
    small, large = functools.cache(read), functools.lru_cache(maxsize=2)(read)
    return lambda name: (small if case(name).sample else large)(name)


def intruded() -> list[str]:
    """Nodes with intruders and the API's pods."""
    return [name for name, image in cases().items() if image.beside("pods.json").is_file()]


def case(name: str) -> ImageCase:
    return cases()[name]


def small_records(path: Path) -> dict[str, Any]:
    """Records of a small image's truth: lines of `@KIND {json}`; POD, PROC, NET and UPPER repeat.

    CONTAINER is one of no pod, ENDED one that has run; they repeat too.
    """
    out: dict[str, Any] = {"pod": [], "proc": [], "net": [], "upper": [], "container": [], "ended": []}
    for line in path.read_text(errors="surrogateescape").splitlines():
        if not line.startswith("@") or " " not in line:
            continue
        kind, text = line[1:].split(" ", 1)
        record = json.loads(text)
        if isinstance(out.get(kind.lower()), list):
            out[kind.lower()].append(record)
        else:
            out[kind.lower()] = record
    return out


def _bytes(text: str) -> str:
    """The recorder writes each byte as one code point; the same bytes as memir shows them."""
    return text.encode("latin-1").decode("utf-8", "backslashreplace")


def _split(text: str) -> list[str]:
    parts = text.split("\0")
    return parts[:-1] if parts and not parts[-1] else parts


def _inum(link: str | None) -> int:
    return int(link.split("[")[1][:-1]) if link else 0


def _small(path: Path) -> dict[int, Truth]:
    found = {}
    for one in small_records(path)["proc"]:
        status = dict(line.split(":\t", 1) for line in one["status"].splitlines() if ":\t" in line)
        found[one["pid"]] = Truth(
            pid=one["pid"],
            ppid=one["ppid"],
            comm=_bytes(one["comm"]),
            uid=int(status["Uid"].split()[0]),
            cap_effective=int(status["CapEff"], 16),
            seccomp=int(status["Seccomp"]) if "Seccomp" in status else None,
            nspid=[int(number) for number in status["NSpid"].split()],
            threads=int(status["Threads"]),
            kernel_thread=bool(one["kthread"]) and one["exe"] is None,
            namespaces={kind: _inum(one["ns"].get(kind)) for kind in _NS},
            cgroups=one["cgroup"].splitlines(),
            exe=None if one["exe"] is None else _bytes(one["exe"]),
            args=[_bytes(part) for part in _split(one["cmdline"])] if "cmdline" in one else [],
            environ=[_bytes(part) for part in _split(one["environ"])] if "environ" in one else None,
            start_ticks=one["start"],
        )
    return found


def _json(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())


def _node(path: Path) -> dict[int, Truth]:
    found = {}
    for one in _json(path)["tasks"]:
        found[one["pid"]] = Truth(
            pid=one["pid"],
            ppid=one["ppid"],
            comm=one["comm"],
            uid=one["uid"],
            cap_effective=int(one["cap_eff"], 16),
            seccomp=int(one["seccomp"]) if one["seccomp"] else None,
            nspid=one["nspid"],
            threads=one["threads"],
            kernel_thread=one["kthread"],
            namespaces={kind: _inum(one["ns"].get(kind)) for kind in _NS},
            cgroups=[line for line in one["cgroup"] if line],
            exe=one["exe"],
            args=one["cmdline"],
            environ=one["environ"],
            start_ticks=None,
        )
    return found
