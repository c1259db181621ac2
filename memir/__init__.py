# SPDX-License-Identifier: Apache-2.0
"""memir: memory incident response for Kubernetes nodes.

    import memir
    node = memir.open("node.avml")
    node["pods"]
    node.sql("select pod_name, count(*) from processes group by all")
    node.save("CASE")

The names in __all__ are the public interface; everything else may change. They are imported when they are first asked
for, so that `import memir` costs nothing. None of them is the name of a folder or module of memir's: once that is
imported, it would stand in the name's place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memir.acquisition import capture
    from memir.analysis import Analysis, analyze
    from memir.case.case import Case
    from memir.errors import MemirError
    from memir.gaps import Gap, Gaps
    from memir.hits import Hits
    from memir.hunt_options import compile_rules
    from memir.hunts import HuntResult, hunt_image, hunt_images
    from memir.info import describe
    from memir.node import Node
    from memir.open_node import open
    from memir.view import View

__version__ = "0.1.0"

_HOME = {
    "Analysis": "memir.analysis",
    "analyze": "memir.analysis",
    "Case": "memir.case.case",
    "Gap": "memir.gaps",
    "Gaps": "memir.gaps",
    "Hits": "memir.hits",
    "HuntResult": "memir.hunts",
    "MemirError": "memir.errors",
    "Node": "memir.node",
    "View": "memir.view",
    "capture": "memir.acquisition",
    "compile_rules": "memir.hunt_options",
    "describe": "memir.info",
    "hunt_image": "memir.hunts",
    "hunt_images": "memir.hunts",
    "open": "memir.open_node",
}
__all__ = [  # in the order in which they are met
    "Analysis",
    "Case",
    "Gap",
    "Gaps",
    "Hits",
    "HuntResult",
    "MemirError",
    "Node",
    "View",
    "analyze",
    "capture",
    "compile_rules",
    "describe",
    "hunt_image",
    "hunt_images",
    "open",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'memir' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
