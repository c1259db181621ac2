# SPDX-License-Identifier: Apache-2.0
"""This process with fewer rights for a while: as another user, or as root without SYS_PTRACE."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

VERSION_3 = 0x20080522


@contextmanager
def as_user(user: int) -> Iterator[None]:
    """With a user's rights: file system ids and no capability."""
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextmanager
def without(capability: int) -> Iterator[None]:
    """As root, without one capability among the effective ones; capset(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    before = data[0]
    data[0] &= ~(1 << capability)
    assert libc.capset(header, data) == 0
    try:
        yield
    finally:
        data[0] = before
        assert libc.capset(header, data) == 0
