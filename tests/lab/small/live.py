# SPDX-License-Identifier: Apache-2.0
"""live.py SOCKET OUT MEGABYTES: save the memory of a machine of QEMU's while it runs, as a tool on the node does.

Part after part from address 0 on, a second apart: what changes meanwhile is read at different times.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.lab.small.qmp import qmp

PARTS = 24


def main() -> None:
    """Write the image."""
    path, out, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) << 20
    part, step = out.with_suffix(".part"), size // PARTS
    with out.open("wb") as target:
        for number in range(PARTS):
            qmp(path, ("pmemsave", {"val": number * step, "size": step, "filename": str(part.absolute())}))
            target.write(part.read_bytes())
            time.sleep(1)
    part.unlink()


if __name__ == "__main__":
    main()
