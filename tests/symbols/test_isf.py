# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import bz2
import copy
import gzip
import json
import lzma
import random
import time
from pathlib import Path
from typing import Any

import pytest

from memir.errors import IsfError
from memir.symbols import btf, isf
from memir.symbols.isf import IsfTypes
from memir.symbols.isf_make import IsfSource
from memir.symbols.types import KernelTypes, Member, TypeRef
from tests.fuzz import cases
from tests.images import ImageCase
from tests.symbols.btf_real import kernel_btf, real
from tests.symbols.isf_small import BANNER, TEXT, small


def test_types_come_back_as_they_were() -> None:
    types = IsfTypes(small().document())
    found = types.struct("thing")
    assert found is not None
    size, members = found
    int32 = TypeRef("int", 4, "int", signed=True)
    assert size == 96
    assert members["x"] == members["y"] == Member(0, int32)
    assert members["list"] == Member(8, TypeRef("struct", 16, "list_head"))
    assert members["a"].type.count == 3
    assert members["a"].type.element == TypeRef("struct", 4, "atomic_t")
    assert members["s"] == Member(36, TypeRef("enum", 4, "state"))
    assert members["l"].type.element == TypeRef("void", 0, "void")
    assert members["f"].type.element == TypeRef("function", 0, "function")
    assert members["d"] == Member(56, TypeRef("float", 8, "double", signed=True))
    assert members["b"] == Member(64, int32, 0, 3)
    assert members["c"] == Member(64, int32, 3, 5)
    assert KernelTypes(types).offset("thing", "list.prev") == 16
    assert types.enum("state") == {"OFF": 0, "ON": 1}
    assert types.enum("mode_t") == {"A": -1}
    assert types.enum("none") is None
    assert types.struct("none") is None
    assert types.banner == BANNER + b"\n\0"


@pytest.mark.parametrize("suffix", [".json", ".json.xz", ".json.gz", ".json.bz2"])
def test_files_of_every_packing(tmp_path: Path, suffix: str) -> None:
    source, path = small(), tmp_path / f"k{suffix}"
    packers: dict[str, Any] = {".json.gz": gzip.compress, ".json.bz2": bz2.compress}
    if suffix in packers:
        path.write_bytes(packers[suffix](json.dumps(source.document()).encode()))
    else:
        source.write(path)
    assert isf.read(path).document == source.document()


def test_files_that_are_no_isf(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    cases = {
        b"": "is not JSON",
        b"[1, 2]": "not an ISF",
        b"{}": "has no section 'base_types'",
        b"[" * 100_000: "is not JSON",
        b"\xff\xfe": "is not JSON",
        lzma.compress(b"{}" * 1000)[:40]: "is not whole",
        gzip.compress(b"{}" * 1000)[:20]: "is not whole",
        b"\x1f\x8bgarbage of more than ten bytes": "cannot be read",
    }
    for data, message in cases.items():
        path.write_bytes(data)
        with pytest.raises(IsfError, match=message):
            isf.read(path)
    with pytest.raises(IsfError, match="cannot be read"):
        isf.read(tmp_path)
    with pytest.raises(IsfError, match="cannot be read"):
        isf.read(tmp_path / "none")
    with pytest.raises(IsfError, match="cannot be written"):
        small().write(tmp_path / "none" / "x.json")


def test_files_of_other_systems() -> None:
    document = small().document()
    with pytest.raises(IsfError, match="another system"):
        IsfTypes(document | {"metadata": {"windows": {}}})
    pointer = {"pointer": document["base_types"]["pointer"] | {"size": 4}}
    with pytest.raises(IsfError, match="pointers of 4 bytes"):
        IsfTypes(document | {"base_types": document["base_types"] | pointer})


def test_anonymous_structs_that_hold_themselves() -> None:
    document = small().document()
    field = {"type": {"kind": "struct", "name": "loop"}, "offset": 0, "anonymous": True}
    document["user_types"]["loop"] = {"kind": "struct", "size": 8, "fields": {"a": field, "b": field}}
    begin = time.process_time()
    with pytest.raises(IsfError, match="holds itself"):
        IsfTypes(document).struct("loop")
    deep: dict[str, Any] = {"kind": "base", "name": "int"}
    for _ in range(500):
        deep = {"kind": "pointer", "subtype": deep}
    document["user_types"]["deep"] = {
        "kind": "struct",
        "size": 8,
        "fields": {"a": {"type": deep, "offset": 0}},
    }
    with pytest.raises(IsfError, match="nested too deep"):
        IsfTypes(document).struct("deep")
    assert time.process_time() - begin < 20


def test_mutated_documents_give_only_isf_errors() -> None:
    whole = small().document()
    dice = random.Random(11)
    values: list[Any] = [
        None,
        -1,
        1 << 70,
        "x",
        "",
        [],
        {},
        {"kind": "array"},
        1.5,
        True,
        {"kind": "struct", "name": "thing"},
    ]
    for _ in range(cases(300)):
        document = copy.deepcopy(whole)
        for _ in range(dice.choice((1, 3))):
            place: Any = document
            while True:
                key = dice.choice(list(place)) if isinstance(place, dict) else dice.randrange(len(place))
                if isinstance(place[key], dict | list) and place[key] and dice.random() < 0.85:
                    place = place[key]
                    continue
                if dice.random() < 0.3 and isinstance(place, dict):
                    del place[key]
                else:
                    place[key] = copy.deepcopy(dice.choice(values))
                break
            if not document:
                break
        try:
            types = IsfTypes(document)
            names = (
                "thing",
                "list_head",
                "atomic_t",
                *(n for n in document["user_types"] if isinstance(n, str)),
            )
            for name in names:
                types.struct(name)
                types.enum("state")
            assert types.symbols is not None
            assert types.banner is None or types.banner
        except IsfError:
            continue


@pytest.mark.parametrize("case", real(), ids=lambda case: case.name)
def test_real_kernels_come_back_as_they_were(case: ImageCase) -> None:
    source = btf.parse(kernel_btf(case))
    document = IsfSource(source, {"_text": TEXT}, BANNER).document()
    text = json.dumps(document, separators=(",", ":"))
    types = IsfTypes(json.loads(text))
    names = [name.decode() for name in source.blob.names(btf.STRUCTS)]
    assert len(names) > 5000

    def shape(members: dict[str, Member]) -> dict[str, tuple[int, int, int, str, int]]:
        return {name: (m.offset, m.bit_offset, m.bit_size, m.type.kind, m.type.size) for name, m in members.items()}

    for name in [*names[::9], "task_struct", "page", "sock", "inode", "iphdr", "tcphdr"]:
        mine, other = source.struct(name), types.struct(name)
        assert mine is not None
        assert other is not None
        assert mine[0] == other[0], name
        wanted, found = shape(mine[1]), shape(other[1])
        if name in ("page", "taint_flag"):  # have old names added for volatility3, and page.flags as a plain word
            found = {member: found[member] for member in wanted}
            wanted["flags"] = found["flags"] = (0, 0, 0, "int", 8)
        assert wanted == found, name
    for name in (name.decode() for name in source.blob.names(btf.ENUMS)):
        assert source.enum(name) == types.enum(name)
