"""Real images for the tests of symbols and volatility: where they are, unpacked once, and their BTF."""

from __future__ import annotations

import functools
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

import zstandard

from memir.errors import BtfError
from memir.symbols import btf

ROOT = Path(__file__).resolve().parents[2]
HEAD = bytes.fromhex("9feb010018000000")


@dataclass(frozen=True)
class Case:
    """A packed image and its truth file."""

    name: str
    packed: Path

    @property
    def kernel(self) -> str:
        """Version of the kernel, "6.1"."""
        return next(part for part in self.name.split("-") if part[0].isdigit())

    @property
    def arm64(self) -> bool:
        return self.name.startswith("arm64")

    @property
    def truth(self) -> Path:
        return self.packed.parent / f"{self.name}.truth.txt"

    def path(self) -> Path:
        """The image, unpacked into the cache folder if that has not been done."""
        base = (
            os.environ.get("MEMIR_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        )
        out = (
            Path(base)
            / "memir-tests"
            / f"{self.packed.stat().st_size}-{self.packed.name.removesuffix('.zst')}"
        )
        if not out.exists():
            out.parent.mkdir(parents=True, exist_ok=True)
            part = out.with_suffix(f".{os.getpid()}.part")
            with self.packed.open("rb") as source, part.open("wb") as sink:
                zstandard.ZstdDecompressor(max_window_size=2**27).copy_stream(source, sink)
            part.rename(out)
        return out


@functools.cache
def cases() -> tuple[Case, ...]:
    """Every packed image in MEMIR_IMAGES, ../shared/images or samples/, by name."""
    folders = [Path(os.environ["MEMIR_IMAGES"])] if "MEMIR_IMAGES" in os.environ else []
    folders += [ROOT.parent / "shared" / "images", ROOT / "samples"]
    found: dict[str, Case] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.zst")):
            name = path.name.removesuffix(".zst").removesuffix(".raw").removesuffix(".lime")
            found.setdefault(name, Case(name, path))
    return tuple(found.values())


@functools.cache
def kernel_btf(case: Case) -> bytes:
    """The kernel's own BTF, found by its header and by having a task_struct."""
    for blob in blobs(case):
        if len(blob) > 1 << 20:
            try:
                if btf.parse(blob).struct("task_struct"):
                    return blob
            except BtfError:
                continue  # a copy whose pages are not in a row
    raise AssertionError(f"no BTF in {case.name}")


def blobs(case: Case) -> list[bytes]:
    """What follows every plausible BTF header, as long as the header says."""
    out = []
    with case.path().open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        at = data.find(HEAD)
        while at >= 0:
            sizes = btf.find_btf_header_ok(data[at : at + 32])
            if sizes:
                out.append(data[at : at + sizes[1]])
            at = data.find(HEAD, at + 8)
    return out
