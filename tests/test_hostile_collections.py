# SPDX-License-Identifier: Apache-2.0
"""Collected pods and checkpoint archives whose documents are any JSON, or damaged: read, or refused in words."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from memir.checkpoint.source import CheckpointSource
from memir.collected.source import CollectedSource
from memir.errors import MemirError
from memir.evidence.verify import verify
from memir.tables.table import read_tables
from tests.checkpoint.sample import members, pack
from tests.collected.made import folder
from tests.evidence import forge
from tests.fuzz import cases, mutations, shapes

FEW, MANY = 30, 500  # MEMIR_FUZZ takes more: 1,500 each were seen
LINES = ("node/processes.jsonl", "clear/processes.jsonl")
UNIX = b"""Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 901 /run/app.sock
"""
DOCUMENTS = ("receipt.json", "node/collector.json", *LINES)


def tables_of(source: Any) -> int:
    """How many tables a source gives; MemirError is the one that may come instead."""
    frames = read_tables(source)
    for frame in frames.values():
        frame.to_arrow()
    return len(frames)


def collected(path: Path) -> bool:
    """Whether a collected pod is read; verify judges it in any case."""
    assert verify(path).exit_code in {0, 3, 4, 5}
    try:
        return tables_of(CollectedSource(path)) > 0
    except MemirError as error:
        assert str(error)
        return False


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_of_a_collection(name: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "ev") / name
    text = path.read_text()
    good = [json.loads(line) for line in text.splitlines()] if name in LINES else json.loads(text)
    read = 0
    for shape in shapes([good], cases(FEW, MANY), 21):
        rows = shape if name in LINES and isinstance(shape, list) else [shape]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        read += collected(tmp_path / "ev")
    assert name == "receipt.json" or read > cases(FEW, MANY) // 2


@pytest.mark.parametrize("name", ["node/net/4026532001/tcp", "node/net/4026532001/unix", "node/mounts/4026532002"])
def test_texts_of_a_collection(name: str, tmp_path: Path) -> None:
    """As the node's kernel writes them, damaged; and a name whose digits are none of int()'s."""
    path = folder(tmp_path / "ev") / name
    seed = path.read_bytes() if path.is_file() else UNIX
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent.parent / ("9" * 200)).mkdir()
    (path.parent.parent / "4026532\u00b2").mkdir()
    (path.parent.parent / "4026532\u00b2" / path.name).write_bytes(seed)
    (path.parent.parent / ("9" * 200) / path.name).write_bytes(seed)
    read = 0
    for damaged in mutations([seed], cases(FEW, MANY), 25):
        path.write_bytes(damaged)
        read += collected(tmp_path / "ev")
    assert read == cases(FEW, MANY)


def test_records_of_a_collection(tmp_path: Path) -> None:
    """The chain fits again: whoever can write the folder can do that."""
    good = forge.read(folder(tmp_path / "ev"))
    for records in shapes([good], cases(FEW, MANY), 22):
        try:
            forge.write(tmp_path / "ev", records)
        except (TypeError, ValueError, AttributeError):  # no chain can be made of it
            continue
        collected(tmp_path / "ev")


def checkpoint(path: Path, files: dict[str, bytes]) -> bool:
    """Whether an archive of these files is read."""
    path.unlink(missing_ok=True)
    try:
        source = CheckpointSource(pack(path, files))
    except MemirError as error:
        assert str(error)
        return False
    try:
        return tables_of(source) > 0
    finally:
        source.close()


def small() -> dict[str, bytes]:
    """The sample's files, the pages of one process alone."""
    return {name: data for name, data in members().items() if "/pages-" not in name or name.endswith("/pages-1.img")}


@pytest.mark.parametrize("name", ["config.dump", "spec.dump", "status.dump", "checkpoint/descriptors.json"])
def test_documents_of_a_checkpoint(name: str, tmp_path: Path) -> None:
    files = small()
    read = 0
    for shape in shapes([json.loads(files[name])], cases(FEW, MANY), 23):
        read += checkpoint(tmp_path / "c.tar", files | {name: json.dumps(shape).encode()})
    assert read > cases(FEW, MANY) // 10


def test_images_of_a_checkpoint(tmp_path: Path) -> None:
    files, chance, read = small(), random.Random(24), 0
    names = sorted(name for name in files if name.endswith(".img") and "pages-" not in name)
    for _ in range(cases(FEW, MANY)):
        name = chance.choice(names)
        (damaged,) = mutations([files[name]], 1, chance.randrange(1 << 30))
        read += checkpoint(tmp_path / "c.tar", files | {name: damaged})
    assert read > cases(FEW, MANY) // 4
