# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import pytest

from memir.image.open import open_image
from memir.symbols.shift import matches, shifts
from tests.image.files import noise
from tests.kernel.accounts import ARM, X86, put, raw


@pytest.mark.parametrize(("name", "header", "shift"), [(X86, 0, 0), (X86, 777, -777), (ARM, 0, 0x4000_0000)])
def test_vmcoreinfo_tells_the_difference(name: str, header: int, shift: int, tmp_path: Path) -> None:
    with open_image(put(tmp_path, noise(header) + raw(name))) as memory:
        assert shift in list(shifts(memory))


def test_matches_across_two_views_are_met_once(tmp_path: Path) -> None:
    data = bytearray(noise(40 << 20, 3))
    places = [100, (16 << 20) - 3, (32 << 20), len(data) - 8]
    for at in places:
        data[at : at + 8] = b"NEEDLE!!"
    with open_image(put(tmp_path, bytes(data))) as memory:
        assert sorted(at for at, _ in matches(memory, re.compile(b"NEEDLE!!"))) == places


def test_nothing_where_there_is_no_kernel(tmp_path: Path) -> None:
    with open_image(put(tmp_path, noise(2 << 20))) as memory:
        assert list(shifts(memory)) == []
