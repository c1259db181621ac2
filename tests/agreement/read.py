# SPDX-License-Identifier: Apache-2.0
"""Every image, every table that something recorded tells of, compared."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from memir.kube.ram import RamSource
from memir.tables.table import tables
from tests.agreement import acts, files, network, processes
from tests.agreement.compare import Agreement, Told, compare
from tests.images import case, cases, node_at

NOTHING = frozenset({"hooks", "code_pages", "preloads"})
"""Tables whose recording says that there is nothing to show."""
TELLERS = (*processes.TELLERS, *network.TELLERS, *files.TELLERS)


def of_image(image: str, node: RamSource) -> dict[str, Agreement]:
    """By table, against /proc, the runtime and the API of the image's node."""

    @functools.cache
    def rows(table: str) -> list[dict[str, Any]]:
        return tables()[table].read(node).rows()

    return gathered(told for teller in TELLERS for told in teller(image, node, rows))


def gathered(every: Iterable[Told]) -> dict[str, Agreement]:
    answer: dict[str, Agreement] = {}
    for told in every:
        answer.setdefault(told.table, Agreement(told.table)).take(compare(told))
    return {table: found for table, found in answer.items() if found.rows or found.differences or table in NOTHING}


def agreements() -> dict[str, dict[str, Agreement]]:
    """By image, by table."""
    answer: dict[str, dict[str, Agreement]] = {}
    for image in sorted(cases()):
        answer[image] = of_image(image, node_at(case(image).image))
    for recording, tell in acts.RECORDINGS.items():
        image = recording.removesuffix("-whole")
        if image != recording and image in acts.RECORDINGS:
            continue  # a sample is the same one
        for table, agreement in gathered(tell()).items():
            answer.setdefault(image, {}).setdefault(table, Agreement(table)).take(agreement)
    return answer
