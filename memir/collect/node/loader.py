# SPDX-License-Identifier: Apache-2.0
"""Reads modules and a request from standard input, one JSON line, and runs them from memory. In: the line."""

import json
import sys
import types


def main() -> None:
    """Make the modules, in order, and call the last one's `main` with the request."""
    bundle = json.loads(sys.stdin.buffer.readline().decode("ascii"))
    module = types.ModuleType("")
    for name, text in bundle["modules"]:
        module = types.ModuleType(name)
        module.__path__ = []  # imports look below each as below a package
        sys.modules[name] = module
        exec(compile(text, name, "exec"), module.__dict__)  # (memir's own text, as the controller sent it)
    module.__dict__["main"](bundle["request"])


if __name__ == "__main__":
    main()
