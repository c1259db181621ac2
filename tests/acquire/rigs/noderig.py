# SPDX-License-Identifier: Apache-2.0
"""A chroot that looks to AVML like a node: its own /proc/iomem and /proc/kcore over this machine's /proc.

/proc/kcore is an ELF core whose PT_LOADs carry physical addresses, so that the real AVML acquires chosen
bytes. Everything else in /proc is a link to the real one. Needs root (mount, chroot) for the life of the rig.
"""

from __future__ import annotations

import platform
import random
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.acquire.rigs.binds import bind

PAGE = 4096
MIB = 1 << 20
BINDS = ("usr", "bin", "sbin", "lib", "lib64", "etc", "dev", "sys")


def banner() -> bytes:
    return f"Linux version {platform.release()} (memir@rig) (gcc) #1 SMP\n".encode()


def contents(size: int, seed: int = 1, zero_blocks: tuple[int, ...] = ()) -> bytes:
    """Chosen RAM: random and repeating pages, the kernel's banner, and 16 MiB blocks that are all zero."""
    rng = random.Random(seed)
    pages = [rng.randbytes(PAGE) for _ in range(64)]
    out = bytearray(b"".join(pages[rng.randrange(64)] for _ in range(size // PAGE)))
    for block in zero_blocks:
        end = min(len(out), (block + 1) * 16 * MIB)
        out[block * 16 * MIB : end] = bytes(end - block * 16 * MIB)
    out[PAGE : PAGE + len(banner())] = banner()
    return bytes(out)


@dataclass
class Segment:
    paddr: int
    data: bytes

    @property
    def end(self) -> int:
        return self.paddr + len(self.data)


def kcore(segments: list[Segment]) -> bytes:
    """An ELF64 ET_CORE as /proc/kcore has it: a PT_NOTE, then a PT_LOAD a segment."""
    count = len(segments) + 1
    offset = -(-(64 + 56 * count) // PAGE) * PAGE
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 4, 0, 0, 0, 0, 0, 0, 0)
    body = []
    for one in segments:
        virtual = 0xFFFF_8880_0000_0000 + one.paddr
        head += struct.pack("<IIQQQQQQ", 1, 7, offset, virtual, one.paddr, len(one.data), len(one.data), PAGE)
        body.append(one.data)
        offset += len(one.data)
    return head.ljust(-(-len(head) // PAGE) * PAGE, b"\0") + b"".join(body)


def iomem(segments: list[Segment]) -> bytes:
    lines = ["00000000-00000fff : Reserved"]
    for one in segments:
        lines.append(f"{one.paddr:08x}-{one.end - 1:08x} : System RAM")
        lines.append(f"  {one.paddr:08x}-{one.paddr + 0xFFF:08x} : Kernel code")
    return ("\n".join(lines) + "\nfec00000-fec003ff : IOAPIC 0\n").encode()


def meminfo(segments: list[Segment]) -> bytes:
    """A kernel manages a little less than System RAM; what is free is this machine's to give."""
    managed = sum(len(one.data) for one in segments) * 95 // 100 >> 10
    return b"MemTotal: %8d kB\nMemFree: 8000000 kB\nMemAvailable: 8000000 kB\n" % managed


@dataclass
class NodeRig:
    """The chroot at `root`; use as a context manager."""

    root: Path
    segments: list[Segment]
    shm_options: str = "mode=1777"
    mounted: list[Path] = field(default_factory=list)

    def __enter__(self) -> NodeRig:
        self.root.mkdir(parents=True)
        for name in BINDS:
            source, target = Path("/", name), self.root / name
            if source.is_symlink():
                target.symlink_to(source.readlink())
            elif source.is_dir():
                target.mkdir()
                bind(source, target)
                self.mounted.append(target)
        for name in ("run", "tmp", "root", "var", "real", "ssh"):
            (self.root / name).mkdir()
        self._mount(self.root / "run", "-t", "tmpfs", "-o", "mode=755", "rig")
        # its own /dev/shm: what a run leaves there is seen, and nothing of this machine's
        self._mount(self.root / "dev/shm", "-t", "tmpfs", "-o", self.shm_options, "rig")
        self._mount(self.root / "real", "-t", "proc", "proc")
        proc = self.root / "proc"
        proc.mkdir()
        self._mount(proc, "-t", "tmpfs", "rig")
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() and entry.name not in {"iomem", "kcore", "meminfo"}:
                (proc / entry.name).symlink_to(f"../real/{entry.name}")
        (proc / "meminfo").write_bytes(meminfo(self.segments))
        (proc / "iomem").write_bytes(iomem(self.segments))
        (proc / "kcore").write_bytes(kcore(self.segments))
        return self

    def __exit__(self, *_: object) -> None:
        for path in reversed(self.mounted):
            subprocess.run(["umount", "-R", "-l", str(path)], check=False, capture_output=True)
        # only what is ours and no longer a mount: never into a bind mount that stayed
        left = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        if not any(place.startswith(f"{self.root}/") for place in left):
            shutil.rmtree(self.root)

    def _mount(self, target: Path, *arguments: str) -> None:
        command = ["mount", *arguments, str(target)]
        subprocess.run(command, check=True, capture_output=True)
        self.mounted.append(target)

    def left(self) -> list[str]:
        """What a run left on the node's memory file systems; ssh's own files are not counted."""
        while True:
            try:
                found = [
                    path.relative_to(self.root).as_posix()
                    for base in ("dev/shm", "run", "tmp", "root", "var")
                    for path in (self.root / base).rglob("*")
                ]
            except FileNotFoundError:
                # something is being removed just now
                continue
            return sorted(name for name in found if name != "run/sshd")

    def processes(self) -> list[str]:
        """Command lines of processes whose root is the rig, the sshd of the rig left out."""
        out = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if (entry / "root").readlink() == self.root:
                    out.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
            except OSError:
                continue
        return out

    def truth(self) -> list[tuple[int, int]]:
        return [(one.paddr, one.end) for one in self.segments]
