# SPDX-License-Identifier: Apache-2.0
"""This machine's folders in a rig's root: to read, never to write.

A run of tests that is killed leaves its mounts below pytest's temporary folder, and a later run removes that folder
with all that is in it: of a mount that can be written, this machine's own files. It has happened, with /etc.
"""

from __future__ import annotations

import subprocess
from pathlib import Path


def bind(source: Path, target: Path) -> None:
    """Mount a folder, and what is mounted below it, read-only; what is mounted there later comes to neither side."""
    _mount("--rbind", str(source), str(target))
    _mount("--make-rprivate", str(target))
    for place in mounts(target):
        _mount("-o", "remount,bind,ro", str(place))


def mounts(target: Path) -> list[Path]:
    """Mount points at and below a folder, by /proc/self/mounts, in the order in which they were mounted."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    paths = [Path(place.encode().decode("unicode_escape")) for place in places]
    return list(dict.fromkeys(path for path in paths if path == target or target in path.parents))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
