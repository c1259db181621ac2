# SPDX-License-Identifier: Apache-2.0
"""Images in folders, and below prefixes that someone else lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from memir.errors import UsageError

SUFFIXES = (".raw", ".lime", ".avml", ".elf", ".core", ".mem", ".vmem", ".dd", ".dmp", ".img", ".bin")
_PACKED = (".zst", ".gz")
SMALLEST = 1 << 16
"""Bytes: a packed image of a node is never smaller."""


_PROCESS = re.compile(r"(^|/)clear/memory/[^/]+\.core$")  # of a collected pod: a process's memory is no node's RAM


def looks_like_image(name: str) -> bool:
    """Whether a file's path is one that images of RAM have, packed or not."""
    low = name.lower()
    if _PROCESS.search(low):
        return False
    for packed in _PACKED:
        low = low.removesuffix(packed)
    return low.endswith(SUFFIXES)


def images_in(folder: Path) -> list[str]:
    """Paths of the images in a folder and below, sorted."""
    files = (file for file in folder.rglob("*") if looks_like_image(file.as_posix()) and file.is_file())
    return sorted(str(file) for file in files if file.stat().st_size >= SMALLEST)


Below = Callable[[str], list[str]]
"""Lists the images below an s3:// prefix (memir.aws.image.images_below): this folder knows no network."""


def expand(targets: list[str], below: Below | None = None) -> list[str]:
    """Every image that files, folders and prefixes name, each once; UsageError for a folder without any."""
    return list(dict.fromkeys(image for target in targets for image in _images(target, below)))


def _images(target: str, below: Below | None) -> Iterator[str]:
    if target.startswith("s3://") and below is not None:
        images = below(target)
    elif Path(target).is_dir():
        images = images_in(Path(target))
    else:
        yield target
        return
    if not images:
        raise UsageError(f"{target}: no images there (names end in {' '.join(SUFFIXES)}, or with .zst or .gz behind)")
    yield from images
