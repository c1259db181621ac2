# SPDX-License-Identifier: Apache-2.0
"""Files of the page cache by name: those that the truth's processes have open, with their bytes."""

from __future__ import annotations

import re
from collections.abc import Callable

from memir.kube.log_files import content, log_files
from memir.kube.ram import RamSource
from tests.images import case

NodeOf = Callable[[str], RamSource]


def test_files_by_name(image: str, node_of: NodeOf) -> None:
    """Files of the upper layers that were recorded: found by name, of the size that they had."""
    node = node_of(image)
    upper = case(image).raw_truth().get("upper", []) if case(image).small else []
    files = log_files(node, re.compile(rb"(?<=\0)(?:server\.log|hosts|system\.journal)(?=\0)"))
    assert len({file.inode for file in files}) == len(files) and files == sorted(files, key=lambda one: one.path)
    sizes = sorted(one["size"] for one in upper if one["file"].rpartition("/")[2] == "server.log")
    logs = [file for file in files if file.path.endswith("/server.log")]
    assert [size for size in sizes if size not in [file.size for file in logs]] == []
    for file in logs:
        data = content(node, file)
        assert data.size == file.size and (file.cached == 0 or data.missing == 0)
    if image.startswith("node-"):
        journal = next(file for file in files if file.path.endswith("system.journal"))
        assert (journal.size, journal.cached, journal.owners[0].pod_uid) == (8 << 20, 547, None)
        assert content(node, journal).read(0, 8) == b"LPKSHHRH"
