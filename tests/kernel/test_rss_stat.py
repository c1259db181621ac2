# SPDX-License-Identifier: Apache-2.0
"""Page counts, against /proc/PID/status."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.rss_stat import page_counts
from memir.kube.ram import RamSource
from tests.images import case

SLACK = 2 * 64 * 4  # KiB: two processors, each up to a batch of 64 pages behind


def test_counts_are_those_of_proc(node_of: Callable[[str], RamSource], image: str) -> None:
    node = node_of(image)
    rows = node.processes.rows
    mm = node.kernel.read(np.array([row.task for row in rows], np.uint64), "task_struct", "mm").astype(np.uint64)
    counts = page_counts(node.kernel, mm)
    assert counts.read[mm != 0].all()
    user = {row.pid: at for at, row in enumerate(rows) if mm[at]}
    assert user and int((counts.anonymous + counts.file + counts.shared)[list(user.values())].sum()) > 100
    if not case(image).small:
        return
    compared = 0
    for record in case(image).raw_truth()["proc"]:
        status = dict(line.split(":", 1) for line in record["status"].splitlines() if ":" in line)
        if "RssAnon" not in status or record["pid"] not in user or record["comm"] == "truth":
            continue
        at = user[record["pid"]]
        for name, column in (
            ("RssAnon", counts.anonymous), ("RssFile", counts.file), ("VmSwap", counts.swapped),
            ("RssShmem", counts.shared),
        ):  # fmt: skip
            assert abs(int(column[at]) * 4 - int(status[name].split()[0])) <= SLACK, (record["comm"], name)
        compared += 1
    assert compared >= 10


def test_nothing_is_zero_and_not_read(node_of: Callable[[str], RamSource], image: str) -> None:
    counts = page_counts(node_of(image).kernel, np.zeros(2, np.uint64))
    assert counts.swapped.tolist() == [0, 0]
