# SPDX-License-Identifier: Apache-2.0
"""What goes to the node: a script and one line."""

from __future__ import annotations

import json
import subprocess

from memir.collect.node_side import MODULES, Request, bundle, script


def test_one_line_with_modules_in_order_and_the_request() -> None:
    line = bundle(Request("u", ["a"], memory=False))
    assert line.count(b"\n") == 1
    document = json.loads(line)
    assert [name.rpartition(".")[2] for name, _ in document["modules"]][3:] == list(MODULES)
    assert document["request"] == {
        "uid": "u", "containers": ["a"], "memory": False, "rootfs": False, "archives": {},
    }  # fmt: skip
    for name, text in document["modules"][3:]:
        compile(text, name, "exec")


def test_a_node_without_python_says_so() -> None:
    text = script().replace("python3", "no-python").replace("platform-python", "no-python")
    done = subprocess.run(["/bin/sh", "-c", text], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (69, b"the node has no Python 3.6 or later\n")
    assert "ROOT=/proc/1/root\n" in script("/proc/1/root")
