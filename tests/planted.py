# SPDX-License-Identifier: Apache-2.0
"""A sample with a known password in the environment of its containers, in the place of another variable."""

from __future__ import annotations

from pathlib import Path

from tests.images import case

PASSWORD = "correct-horse-battery-staple-7731"
_THERE = b"AWS_ROLE_ARN=arn:aws:iam::111122223333:role/memir-test\0"
_PUT = f"DB_PASSWORD={PASSWORD}\0A=".encode()


def planted(path: Path) -> Path:
    """Write s-6.1-small as raw memory to `path`, DB_PASSWORD where AWS_ROLE_ARN was."""
    with case("s-6.1-small").open() as memory, path.open("wb") as file:
        for start, view in memory.views(1 << 20, skip_zeros=True):
            file.seek(start)
            file.write(view.data)
        file.truncate(memory.end)
    data = path.read_bytes()
    assert data.count(_THERE) > 5
    assert len(_PUT) < len(_THERE)
    path.write_bytes(data.replace(_THERE, _PUT.ljust(len(_THERE) - 1, b"x") + b"\0"))
    return path
