# SPDX-License-Identifier: Apache-2.0
"""The BTF that lies in the real images, found by its header."""

from __future__ import annotations

import contextlib
import functools
import re

from memir.errors import AbsentMemoryError, BtfError
from memir.symbols import btf
from tests.images import ImageCase, cases

HEAD = bytes.fromhex("9feb010018000000")


def real() -> list[ImageCase]:
    """All real images, by name."""
    return [case for _, case in sorted(cases().items())]


def version(case: ImageCase) -> str:
    """Version of the image's kernel as its name gives it, "6.1"."""
    found = re.search(r"\d+\.\d+", case.name)
    return found[0] if found else ""


def arm64(case: ImageCase) -> bool:
    return case.name.startswith("arm64")


@functools.cache
def kernel_btf(case: ImageCase) -> bytes:
    """The kernel's own BTF: the first that has a task_struct."""
    for blob in blobs(case):
        if len(blob) > 1 << 20:
            try:
                if btf.parse(blob).struct("task_struct"):
                    return blob
            except BtfError:
                continue  # a copy whose pages are not in a row
    raise AssertionError(f"no BTF in {case.name}")


@functools.cache
def blobs(case: ImageCase) -> list[bytes]:
    """What follows every plausible BTF header, as long as the header says."""
    out = []
    with case.open() as memory:
        for start, view in memory.views(1 << 30):
            for match in re.finditer(re.escape(HEAD), view.data):
                sizes = btf.find_btf_header_ok(bytes(view.data[match.start() : match.start() + 32]))
                if sizes:
                    with contextlib.suppress(AbsentMemoryError):
                        out.append(memory.read(start + match.start(), sizes[1]))
    return out
