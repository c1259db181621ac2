# SPDX-License-Identifier: Apache-2.0
"""Symbol files made from BTF, against what was put in (test_isf_schema.py holds them against volatility3's schema)."""

from __future__ import annotations

import base64
import json
import lzma
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memir import __version__
from memir.errors import IsfError
from memir.symbols import btf
from memir.symbols.isf import IsfTypes
from memir.symbols.isf_make import IsfSource, metadata
from tests.symbols.btf_maker import Maker
from tests.symbols.isf_small import BANNER, small


def test_metadata_has_no_date() -> None:
    """The same kernel gives the same bytes, whenever and wherever it is asked."""
    producer = {"name": "memir", "version": __version__}
    assert metadata() == {"linux": {"symbols": [], "types": []}, "producer": producer, "format": "6.2.0"}
    assert small().document() == small().document()


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    source = small()
    source.write(tmp_path / "k.json")
    source.write(tmp_path / "k.json.xz")
    assert json.loads((tmp_path / "k.json").read_bytes()) == source.document()
    assert lzma.decompress((tmp_path / "k.json.xz").read_bytes()) == (tmp_path / "k.json").read_bytes()
    with pytest.raises(IsfError, match="cannot be written"):
        source.write(tmp_path / "none" / "k.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsfError, match="cannot be written"):
        source.write(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "k.json", "k.json.xz"]


def test_symbols_and_their_types() -> None:
    source = small()
    document = source.document()
    assert IsfTypes(document).symbols == source.symbols
    assert {name: source.symbol(name) for name in source.symbols} == document["symbols"]
    types = {name: symbol["type"] for name, symbol in document["symbols"].items()}
    assert types["modules"] == types["per_cpu_list"] == {"kind": "struct", "name": "list_head"}
    assert types["tk_core"]["kind"] == "struct"
    assert "timekeeper" in document["user_types"][types["tk_core"]["name"]]["fields"]
    assert types["taint_flags"] == {
        "kind": "array",
        "count": 18,
        "subtype": {"kind": "struct", "name": "taint_flag"},
    }
    assert types["after"] == {"kind": "base", "name": "void"}
    assert types["prb"]["subtype"] == {"kind": "base", "name": "void"}  # this kernel has no printk_ringbuffer
    assert types["idt_table"]["count"] == 256
    assert source.symbol("nothing") is None
    assert base64.b64decode(document["symbols"]["linux_banner"]["constant_data"]) == BANNER + b"\n\0"


def test_clang_names_of_integers_have_gccs_beside_them() -> None:
    base = small().document()["base_types"]
    assert (
        base["long unsigned int"]
        == base["unsigned long"]
        == {"size": 8, "signed": False, "kind": "int", "endian": "little"}
    )
    assert base["_Bool"]["kind"] == "bool"
    assert base["pointer"]["size"] == 8
    assert base["void"]["size"] == 0


def test_a_kernel_that_does_not_list_its_banner_still_has_one() -> None:
    make = Maker()
    make.int32()
    source = IsfSource(btf.parse(make.blob()), {"timekeeper_data": 5}, BANNER + b"\n\0")
    document = source.document()
    assert IsfTypes(document).banner == BANNER + b"\n\0"
    assert document["symbols"]["tk_core"]["address"] == 5  # renamed in 6.17
    with pytest.raises(IsfError, match="must start with"):
        IsfSource(btf.parse(make.blob()), {}, b"garbage")


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    """`-o /dev/stdout` and the like: a file renamed over a device would take its place on the whole machine."""
    source = small()
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit((tmp_path / "pipe").read_bytes)
        source.write(tmp_path / "pipe")
        assert json.loads(reader.result()) == source.document()
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    with pytest.raises(IsfError, match="/dev/full: cannot be written: No space left on device"):
        source.write(Path("/dev/full"))
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
