# SPDX-License-Identifier: LicenseRef-VSL-1.0
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from volatility3.framework import contexts, exceptions
from volatility3.framework.symbols import intermed

from memir.symbols import btf
from memir.symbols.isf import IsfTypes
from memir.symbols.isf_make import IsfSource
from memir.volatility.symbols import KernelTable
from tests.images import ImageCase
from tests.symbols.btf_real import kernel_btf, real

TEXT = 0xFFFFFFFF81000000
MASK = (1 << 48) - 1
SYMBOLS = {"_text": TEXT, "_stext": TEXT, "init_task": TEXT + 0x5000, "modules": TEXT + 0x9000, "cpu_number": 0x1000}


@pytest.fixture(params=["btf", "isf"], scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    case: ImageCase = real()[-1]
    source = IsfSource(btf.parse(kernel_btf(case)), SYMBOLS, b"Linux version 1")
    context = contexts.Context()
    found = KernelTable(context, "kernel", source if request.param == "btf" else IsfTypes(source.document()), MASK)
    context.symbol_space.append(found)
    yield context, found


def test_types_symbols_and_enumerations(table: tuple[Any, Any]) -> None:
    context, kernel = table
    space = context.symbol_space
    task = space.get_type("kernel!task_struct")
    assert task.has_member("comm")
    assert task.vol.members["comm"][1].vol.count == 16
    assert space.get_type("kernel!page").has_member("_refcount")  # of an anonymous union
    assert space.get_symbol("kernel!init_task").address == TEXT + 0x5000 & MASK
    assert space.get_symbol("kernel!modules").type.vol.type_name == "kernel!list_head"
    assert space.get_symbol("kernel!linux_banner").constant_data == b"Linux version 1\n\0"
    assert "PIDTYPE_PID" in space.get_enumeration("kernel!pid_type").choices
    assert space.has_type("kernel!mount")
    assert not space.has_type("kernel!no_such_struct")
    assert not space.has_symbol("kernel!no_such_symbol")
    assert {"task_struct", "pointer", "unsigned long"} <= set(kernel.types)
    assert set(kernel.symbols) == {*SYMBOLS, "linux_banner"}
    assert "pid_type" in kernel.enumerations
    with pytest.raises(exceptions.SymbolError):
        space.get_type("kernel!no_such_struct")
    with pytest.raises(exceptions.SymbolError):
        space.get_symbol("kernel!no_such_symbol")


def test_symbols_by_address(table: tuple[Any, Any]) -> None:
    _, kernel = table
    assert list(kernel.get_symbols_by_location(TEXT & MASK)) == ["_stext", "_text"]
    assert list(kernel.get_symbols_by_location(TEXT + 0x4FFF & MASK, 1)) == ["init_task"]
    assert list(kernel.get_symbols_by_location(5)) == []


def test_files_are_still_read_as_volatility_reads_them(tmp_path: Path) -> None:
    case = real()[-1]
    path = tmp_path / "kernel.json"
    IsfSource(btf.parse(kernel_btf(case)), SYMBOLS, b"Linux version 1").write(path)
    context = contexts.Context()
    found = intermed.IntermediateSymbolTable(context, "file", "file", path.as_uri(), validate=False)
    assert type(found._delegate) is intermed.Version8Format
    assert found.get_type("task_struct").has_member("comm")
