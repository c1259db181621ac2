# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Command lines of volatility3's linux.psaux as /proc/PID/cmdline has them.

volatility3 2.28 reads from arg_start to arg_end, and nothing of more than 4,096 bytes. A program that shows a title
(setproctitle(3): sshd, nginx, postgres) writes it over its arguments and, where it is longer, on into its environment:
a last byte that is not NUL says so (fs/proc/base.c, get_mm_proctitle()).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from volatility3.framework import exceptions, renderers
from volatility3.plugins.linux import psaux

MAX_ARGUMENTS = 6 << 20
"""Bytes: the kernel takes no more (fs/exec.c, three quarters of _STK_LIM)."""
_TITLE = 4096  # bytes of a title at most


def command_line(read: Callable[[int, int], bytes], start: int, end: int, environ_end: int) -> bytes | None:
    """The arguments at [start, end), or the title that was written over them; None for bounds that are none.

    environ_end: where the environment ends, 0 if it does not begin where the arguments end. read(address, size) raises
    what it likes where memory is not there.
    """
    if not 0 < end - start <= MAX_ARGUMENTS:
        return None
    raw = read(start, end - start)
    if raw.endswith(b"\0"):
        return raw
    title = raw[:_TITLE]
    address = end
    while b"\0" not in title and len(title) < _TITLE and address < environ_end:
        size = min(64, environ_end - address, _TITLE - len(title))
        title, address = title + read(address, size), address + size
    return title.split(b"\0", 1)[0]


@contextlib.contextmanager
def whole_titles() -> Iterator[None]:
    """Meanwhile linux.psaux shows arguments and titles to their ends."""
    before = psaux.PsAux._get_command_line_args

    def shown(self: Any, task: Any, name: str) -> Any:
        try:
            mm = task.mm if task.mm else None
        except exceptions.InvalidAddressException:
            mm = None
        layer = task.add_process_layer() if mm is not None else None
        if mm is None or layer is None:
            return before(self, task, name)
        process = self.context.layers[layer]
        end = int(mm.arg_end)
        behind = int(mm.env_end) if int(mm.env_start) == end else 0
        try:
            raw = command_line(process.read, int(mm.arg_start), end, behind)
        except exceptions.InvalidAddressException:
            raw = None
        if raw is None:
            return renderers.UnreadableValue()
        text = raw.decode("utf-8", "replace").replace("\0", " ")
        return text[:-1] if len(text) > 1 and text.endswith(" ") else text

    psaux.PsAux._get_command_line_args = shown
    try:
        yield
    finally:
        psaux.PsAux._get_command_line_args = before
