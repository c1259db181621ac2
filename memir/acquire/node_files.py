# SPDX-License-Identifier: Apache-2.0
"""The files of `node/` (sh and Python 3.6), which run on the node; what varies is set as shell variables."""

from __future__ import annotations

import shlex
from importlib.resources import files


def node_text(name: str) -> str:
    """A file of memir/acquire/node as it is; name: with its ending."""
    return (files("memir.acquire") / "node" / name).read_text()


def node_script(*names: str, **variables: str | int) -> str:
    """The files `node/NAME.sh`, one after another, with shell variables set before them."""
    head = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in variables.items())
    return head + "\n".join(node_text(f"{name}.sh") for name in names)
