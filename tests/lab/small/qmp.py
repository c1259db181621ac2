# SPDX-License-Identifier: Apache-2.0
"""Stop a machine of QEMU's and save its memory from address 0: qmp.py SOCKET OUT MEGABYTES [cont: let it go on]."""

from __future__ import annotations

import json
import socket
import sys
from typing import Any


def qmp(path: str, *commands: tuple[str, dict[str, Any]]) -> list[Any]:
    """Answers to these commands, in order; events between them are passed over."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        stream = connection.makefile("rw")

        def answer() -> Any:
            while "event" in (line := json.loads(stream.readline())):
                pass
            return line

        answer()
        answers = []
        for name, arguments in (("qmp_capabilities", {}), *commands):
            stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            stream.flush()
            answers.append(answer())
        return answers


if __name__ == "__main__":
    target, out, size, *then = sys.argv[1:]
    save = {"val": 0, "size": int(size) << 20, "filename": out}
    answers = qmp(target, ("stop", {}), ("pmemsave", save), *((name, {}) for name in then))
    sys.exit(any("error" in line for line in answers))
