# SPDX-License-Identifier: Apache-2.0
"""Memory out of real images: cores that say what the tables and RAM say, and that gdb opens; absent is never zero."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memir
from memir.errors import UsageError
from memir.extract.elf_core import NT_AUXV, NT_FILE, NT_PRPSINFO, NT_PRSTATUS, PAGE
from memir.extract.memory import ProcessMemory, WantedMemory, chosen, extract_memory, written
from memir.extract.output import Output
from memir.image.elf import EHDR, PHDR
from memir.kernel.mm import page_roots
from memir.node import Node
from tests.extract.test_elf_core import notes_of
from tests.images import ROOT, cache, case, cases
from tests.kernel import held
from tests.lab.held import page
from tests.longer import not_here

SECRET = b"MEMIR-HEAP-SECRET-7f3a91c2e5d84b06"
IMAGES = [
    name for name in ("s-6.1-small", "arm64-6.12-small-lpa2", "s-7.2-small-la57", "s-5.10-small-v1") if name in cases()
]


@pytest.fixture(scope="module")
def node() -> Node:
    return memir.open(case("s-6.1-small").image, cache=cache())


def parsed(path: Path) -> tuple[list[tuple[int, bytes]], list[tuple[int, int, int, bytes]]]:
    """(notes, segments as (start, size, flags, bytes in the file)) of a core."""
    raw = path.read_bytes()
    head = EHDR.parse(raw)
    table = [PHDR.parse(raw[head.e_phoff + 56 * row :]) for row in range(head.e_phnum)]
    notes = notes_of(raw[table[0].p_offset :][: table[0].p_filesz])
    return notes, [
        (row.p_vaddr, row.p_memsz, row.p_flags, raw[row.p_offset : row.p_offset + row.p_filesz]) for row in table[1:]
    ]


def by_comm(done: list[ProcessMemory]) -> dict[str | None, ProcessMemory]:
    return {entry.comm: entry for entry in done}


@pytest.mark.parametrize("name", IMAGES)
def test_cores_are_what_the_tables_and_ram_say(name: str, tmp_path: Path) -> None:
    with memir.open(case(name).image, cache=cache()) as node:
        done = extract_memory(node, tmp_path / "out", WantedMemory(pod=("dev/miner-0",)))
        assert len(done) >= 5
        kernel = node.source.kernel
        for entry in done:
            path = tmp_path / "out" / str(entry.file)
            assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
            notes, segments = parsed(path)
            rows = [row for row in node["vmas"] if row["pid"] == entry.pid]
            task = next(process.task for process in node.source.processes.rows if process.pid == entry.pid)
            root = page_roots(kernel, kernel.pointer(np.array([task], np.uint64), "task_struct", "mm"))
            expected = []
            for row in rows:  # page by page: every one that is in RAM is in a segment, and no other
                va = np.arange(row["start"], row["end"], PAGE, dtype=np.uint64)
                pa, ok = kernel.space.user_physical(np.repeat(root, len(va)), va)
                ok &= kernel.memory.present(pa)
                data, _ = kernel.memory.gather(pa[ok], PAGE)
                flags = sum(bit for bit, letter in ((4, "r"), (2, "w"), (1, "x")) if letter in row["permissions"])
                expected += [(int(at_va), flags, page.tobytes()) for at_va, page in zip(va[ok], data, strict=True)]
            assert [
                (start + place, flags, data[place : place + PAGE])
                for start, size, flags, data in segments
                for place in range(0, size, PAGE)
            ] == expected
            assert all(size == len(data) for _, size, _, data in segments)
            assert len(segments) <= sum(len(region["holes"]) + 1 for region in entry.regions)
            kinds = [kind for kind, _ in notes]
            assert kinds == [NT_PRSTATUS] * len(entry.threads) + [NT_PRPSINFO, NT_AUXV, NT_FILE]
            mapped = dict(notes)[NT_FILE]
            count = struct.unpack_from("<Q", mapped)[0]
            names = mapped[16 + 24 * count :].decode().split("\0")[:-1]
            assert names == [(row["path"] or "") + (" (deleted)" if row["deleted"] else "")
                             for row in rows if not row["anonymous"]]  # fmt: skip
            vector = np.frombuffer(dict(notes)[NT_AUXV], "<u8").reshape(-1, 2)
            assert dict(vector.tolist())[6] == PAGE  # AT_PAGESZ


def test_manifest_and_secret(node: Node, tmp_path: Path) -> None:
    done = by_comm(extract_memory(node, tmp_path / "out", WantedMemory(container=("miner",))))
    entry = done["secretd"]
    assert (entry.pod_name, entry.namespace, entry.container_name, entry.exe) == (
        "miner-0", "dev", "miner", "/app/secretd"
    )  # fmt: skip
    assert (entry.mapped, entry.present, entry.absent, entry.swapped) == (2154496, 1835008, 319488, 0)
    assert SECRET in (tmp_path / "out" / str(entry.file)).read_bytes()
    assert [(thread.tid, thread.registers) for thread in entry.threads] == [(entry.pid, "entry")]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["schema"] == 1 and len(manifest["processes"]) == len(done)
    own = next(row for row in manifest["processes"] if row["pid"] == entry.pid)
    holes = sum(end - start for region in own["regions"] for start, end in region["holes"])
    assert holes == entry.absent and sum(region["present"] for region in own["regions"]) == entry.present
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.stat().st_mode & 0o077
                and path.name != "manifest.json"]  # fmt: skip


def test_raw(node: Node, tmp_path: Path) -> None:
    """Only bytes that are in RAM: as many as the core has, each file under its addresses."""
    (entry,) = extract_memory(node, tmp_path / "raw", WantedMemory(pid=(pid_of(node, "secretd"),)), raw=True)
    (core,) = extract_memory(node, tmp_path / "core", WantedMemory(pid=(entry.pid,)))
    assert entry.file is None and sum(row["end"] - row["start"] for row in entry.files) == core.present
    _, segments = parsed(tmp_path / "core" / str(core.file))
    known = {start: data for start, _, _, data in segments}
    for row in entry.files:
        data = (tmp_path / "raw" / row["file"]).read_bytes()
        assert data == known[row["start"]] and hashlib.sha256(data).hexdigest() == row["sha256"]
        assert re.search(rf"/{row['start']:012x}-{row['end']:012x}\.[rwxps-]+\.bin$", row["file"])


def pid_of(node: Node, comm: str) -> int:
    return next(int(row["pid"]) for row in node["processes"] if row["comm"] == comm)


def test_gdb_opens_it(node: Node, tmp_path: Path) -> None:
    """gdb reads registers, mappings and bytes; of a page that is not in RAM it says so."""
    gdb = shutil.which("gdb")
    if gdb is None:
        not_here("gdb")
    (entry,) = extract_memory(node, tmp_path / "out", WantedMemory(pid=(pid_of(node, "secretd"),)))
    _, segments = parsed(tmp_path / "out" / str(entry.file))
    start, _, _, data = next(segment for segment in segments if SECRET in segment[3])
    absent = next(region["holes"][0][0] for region in entry.regions if region["present"] and region["holes"])
    asked = [f"x/s {start + data.index(SECRET):#x}", f"x/1xb {absent:#x}", "info registers", "info proc mappings"]
    words = [gdb, "-nx", "-batch", *(word for line in asked for word in ("-ex", line)),
             "-c", str(tmp_path / "out" / str(entry.file))]  # fmt: skip
    out = subprocess.run(words, capture_output=True, text=True, check=False)
    text = out.stdout + out.stderr
    assert f'"{SECRET.decode()}"' in text and f"LWP {entry.pid}" in text
    assert f"Cannot access memory at address {absent:#x}" in text
    assert re.search(r"rip +0x434db0", text) and "/app/secretd" in text


def test_errors(node: Node, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no process 99999"):
        extract_memory(node, tmp_path / "none", WantedMemory(pid=(99999,)))
    with pytest.raises(UsageError, match=r"^there is no pod nobody: there are dev/miner-0, "):
        extract_memory(node, tmp_path / "none", WantedMemory(pod=("nobody",)))
    with pytest.raises(UsageError, match="no process with memory"):
        chosen(node, WantedMemory(pid=(2,)))  # a kernel thread
    assert not (tmp_path / "none").exists()
    rows = chosen(node, WantedMemory(container=("miner",)))
    entries: list[Any] = list(written(node, Output(tmp_path / "some"), rows[:1], raw=False))
    assert [entry.pid for entry in entries] == [rows[0]["pid"]]


def test_swapped_pages_are_in_the_core(tmp_path: Path) -> None:
    """A process whose memory lies in zram by lzo-rle: the file has it as it wrote it, and says that it was unpacked."""
    record = held.swapped()["lzo-rle"]
    with memir.open(ROOT / "samples" / f"{held.NAME}.raw.zst", cache=cache()) as node:
        (entry,) = extract_memory(node, tmp_path / "out", WantedMemory(pid=(record["pid"],)), raw=True)
    assert entry.unpacked >= record["pages"] * PAGE and entry.swapped == 0
    (piece,) = [part for part in entry.files if part["start"] <= record["address"] < part["end"]]
    data = (tmp_path / "out" / piece["file"]).read_bytes()[record["address"] - piece["start"] :]
    assert data[: record["pages"] * PAGE] == b"".join(page("lzo-rle", number) for number in range(record["pages"]))
