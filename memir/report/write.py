# SPDX-License-Identifier: Apache-2.0
"""A report's file: written under a temporary name, then renamed, so that it is whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from memir.errors import OutputError


def write_report(parts: Iterable[bytes], path: Path, *, force: bool = False) -> int:
    """Write parts into a file that only its owner may read; gives its size in bytes.

    OutputError if it is there and force is not given, is no regular file, or cannot be written; nothing is left then.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OutputError(f"{path}: not a regular file: give another name with -o")
    if path.exists() and not force:
        raise OutputError(f"{path}: is there already: give another name with -o, or --force to replace it")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    temporary = Path(name)
    try:
        size = 0
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                size += file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return size
