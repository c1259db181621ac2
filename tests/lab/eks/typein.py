# SPDX-License-Identifier: Apache-2.0
"""typein.py LINES COMMAND...: runs COMMAND on a terminal, types a file's lines slowly, then keeps the session open."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from pathlib import Path

typed = Path(sys.argv[1]).read_text().splitlines()
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])


def drain(seconds: float) -> None:
    """Show what comes for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                sys.stdout.write(os.read(terminal, 4096).decode("utf-8", "replace"))
            except OSError:
                sys.exit()
            sys.stdout.flush()


drain(8)
for line in typed:
    os.write(terminal, line.encode() + b"\n")
    drain(3)
while True:
    drain(60)
