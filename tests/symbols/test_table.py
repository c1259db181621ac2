# SPDX-License-Identifier: Apache-2.0
"""Symbols by name, and copies of /proc/kallsyms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.errors import KallsymsError
from memir.symbols.table import Symbols, read_kallsyms_text
from tests.fuzz import cases, mutations
from tests.symbols.located import located, recorded_symbols

TEXT = 0xFFFFFFFF81000000
LINES = b"0000000000000000 A fixed_percpu_data\nffffffff81000000 T _text\nffffffff81000040 t twice\n"
MORE = b"ffffffff81000080 t twice\n\nffffffffc0000000 t init_module\t[overlay]\n"


def test_mapping() -> None:
    symbols = Symbols(
        b"per_cpu\0_text\0twice\0twice\0",
        np.array([0x1000, TEXT, TEXT + 16, TEXT + 32], np.uint64),
        "kallsyms",
        {"init_task": TEXT + 64, "_text": 5},
    )
    assert dict(symbols) == {"per_cpu": 0x1000, "_text": TEXT, "twice": TEXT + 16, "init_task": TEXT + 64}
    assert len(symbols) == 4
    assert "twice" in symbols
    assert "none" not in symbols
    assert symbols.get("none") is None
    with pytest.raises(KeyError):
        symbols["none"]


def test_with_extra() -> None:
    """The table's own names come first; what was asked before is not forgotten, and counts for both."""
    symbols = Symbols(b"_text\0", np.array([TEXT], np.uint64), "kallsyms", {"gone": 1})
    assert symbols["_text"] == TEXT
    more = symbols.with_extra({"init_task": TEXT + 64, "_text": 5})
    assert dict(more) == {"_text": TEXT, "init_task": TEXT + 64}
    assert dict(symbols) == {"_text": TEXT, "gone": 1}
    assert (more.source, more.names) == ("kallsyms", b"_text\0")


def test_shifted() -> None:
    """Everything moves but what lies in the lower half: offsets in a CPU's own area."""
    symbols = Symbols(b"per_cpu\0_text\0", np.array([0x1000, TEXT], np.uint64), "ISF", {"init_task": TEXT + 64})
    for shift in (0x2400000, -0x200000):
        moved = symbols.shifted(shift)
        assert dict(moved) == {"per_cpu": 0x1000, "_text": TEXT + shift, "init_task": TEXT + 64 + shift}
        assert moved.source == "ISF"
        assert dict(moved.shifted(-shift)) == dict(symbols)
    assert Symbols(b"a\0", np.array([2**64 - 8], np.uint64), "").shifted(16)["a"] == 8


@given(st.dictionaries(st.text("ab_09", min_size=1), st.integers(0, 2**64 - 1)))
def test_from_pairs(pairs: dict[str, int]) -> None:
    symbols = Symbols.from_pairs(pairs.items(), "a test")
    assert dict(symbols) == pairs
    assert symbols.addresses.tolist() == sorted(pairs.values())
    assert symbols.names.count(b"\0") == len(pairs)


def test_kallsyms_text(tmp_path: Path) -> None:
    path = tmp_path / "kallsyms"
    path.write_bytes(LINES + MORE)
    symbols = read_kallsyms_text(path)
    assert dict(symbols) == {"fixed_percpu_data": 0, "_text": TEXT, "twice": TEXT + 0x40}
    assert symbols.source == "kallsyms file"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "every address is 0"),
        (b"0000000000000000 T _text\n", r"read /proc/kallsyms as root \(kptr_restrict\)"),
        (LINES + b"hello\n", "line 4 is not `address type name`"),
        (b"ffffffff81000000 T\n", "line 1 is not"),
        (b"ffffffff81000000 T \xff\xfe\n", "line 1 is not"),
        (LINES + b"ffffffff81000000 T a\0b\n", "line 4 is not"),
        (LINES + b"1ffffffff81000000 T a\n", "line 4 is not"),
        (LINES + b"-1 T a\n", "line 4 is not"),
    ],
)
def test_kallsyms_text_that_is_none(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "kallsyms"
    path.write_bytes(data)
    with pytest.raises(KallsymsError, match=words):
        read_kallsyms_text(path)
    with pytest.raises(KallsymsError, match="cannot be read"):
        read_kallsyms_text(tmp_path)


def test_a_real_kernels_table_from_text(tmp_path: Path) -> None:
    """Written as /proc/kallsyms and read again it is the same table, with what the node itself recorded in it."""
    _, anchors = located("s-6.1-small")
    path = tmp_path / "kallsyms"
    names = anchors.symbols.names.decode().split("\0")[:-1]
    rows = zip(anchors.symbols.addresses.tolist(), names, strict=True)
    path.write_text("".join(f"{address:016x} t {name}\n" for address, name in rows))
    symbols = read_kallsyms_text(path)
    assert np.array_equal(symbols.addresses, np.sort(anchors.symbols.addresses))
    recorded = recorded_symbols("s-6.1-small")
    assert recorded["_text"] == symbols["_text"]
    assert set(names) == set(symbols)


def test_mutated_text(tmp_path: Path) -> None:
    path = tmp_path / "kallsyms"
    refused = 0
    for data in mutations([LINES + MORE], cases(few=300)):
        path.write_bytes(data)
        try:
            symbols = read_kallsyms_text(path)
            assert all(0 <= address < 1 << 64 for address in symbols.values())
        except KallsymsError:
            refused += 1
    assert refused > 10


def test_a_file_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memir.symbols.table.MAX_TEXT", 1 << 20)
    with pytest.raises(KallsymsError, match="/dev/zero: more than 1 MiB: no copy of /proc/kallsyms is as long"):
        read_kallsyms_text(Path("/dev/zero"))
