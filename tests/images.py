"""The real images that tests run on, and the truth recorded beside them.

Looked for in the folders of MEMIR_IMAGES (separated by ":"), else in ../shared/images beside the checkout, and always
in samples/. An image is NAME.raw, .lime or .elf, packed or not, with NAME.truth.txt or NAME.truth.json(.gz) beside it.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memir.image.memory import PhysicalMemory
from memir.image.open import open_image

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

    def open(self) -> PhysicalMemory:
        return open_image(self.image, cache=cache())

    def recorded(self) -> dict[int, Truth]:
        """Processes by pid."""
        return _small(self.truth) if self.truth.suffix == ".txt" else _node(self.truth)

    def raw_truth(self) -> Any:
        return small_records(self.truth) if self.truth.suffix == ".txt" else _json(self.truth)


def cache() -> Path:
    return Path(
        os.environ.get("MEMIR_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memir"
    )


def _folders() -> list[Path]:
    named = os.environ.get("MEMIR_IMAGES")
    shared = [Path(one) for one in named.split(":")] if named else [ROOT.parent / "shared" / "images"]
    return [folder for folder in [*shared, ROOT / "samples"] if folder.is_dir()]


@functools.cache
def cases() -> dict[str, ImageCase]:
    """All images by name; a sample is left out where an earlier folder has an image of the same name."""
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


def case(name: str) -> ImageCase:
    return cases()[name]


def small_records(path: Path) -> dict[str, Any]:
    """Records of a small image's truth: lines of `@KIND {json}`; POD, PROC, NET and UPPER repeat."""
    out: dict[str, Any] = {"pod": [], "proc": [], "net": [], "upper": []}
    for line in path.read_text(errors="surrogateescape").splitlines():
        if not line.startswith("@") or " " not in line:
            continue
        kind, text = line[1:].split(" ", 1)
        record = json.loads(text)
        if kind.lower() in ("pod", "proc", "net", "upper"):
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
