# SPDX-License-Identifier: Apache-2.0
"""Hits of a hunt, as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from memir.gaps import Gaps
from memir.hunt.hits import UNPLACED
from memir.kernel.ram import Coverage
from memir.report.grid import print_grid
from memir.text import counted, say

_DATA = 48
"""Characters of what matched that are shown: the table `hits` has up to 256 bytes of it, and what is around."""
_COLUMNS = ("rule", "string", "owner", "pid", "pod", "container", "address", "path", "data")


class Hunted(Protocol):
    """What is printed of a hunt: a HuntResult of the library, which stands above this folder."""

    @property
    def hits(self) -> Iterable[Mapping[str, Any]]:
        """Rows of the table `hits`."""

    @property
    def facts(self) -> Any:
        """As the case records them."""

    @property
    def gaps(self) -> Gaps:
        """What was not covered."""

    @property
    def seconds(self) -> float:
        """Wall time."""

    @property
    def coverage(self) -> Any:
        """How much of the RAM the one image holds; None for many images."""

    @property
    def many(self) -> bool:
        """Whether there were many images."""

    @property
    def whole(self) -> bool:
        """Whether all RAM was there."""

    @property
    def failed(self) -> int:
        """How many images failed."""

    @property
    def uncovered(self) -> Mapping[str, int]:
        """For how many reasons something of each of many images was not read."""

    @property
    def images(self) -> tuple[Any, ...]:
        """What each of many gave."""


def print_hits(result: Hunted, limit: int | None = None) -> None:
    """The share of RAM first where it is not all, hits, counts; what was not covered on standard error."""
    lacking = shares(result)
    if lacking:
        say(*(f"{words}: that nothing was found proves nothing about the rest" for words in lacking), "")
    rows = list(result.hits)
    names = [image.node for image in result.images if image.error is None] if result.many else []
    # images of one node (or of nodes of one name) are told apart by their files
    which = "node" if all(names) and len(set(names)) == len(names) else "image"
    columns = (which, *_COLUMNS) if result.many else _COLUMNS
    if rows:
        print_grid(columns, [((row[which] or row["image"],) if result.many else ()) + cells(row) for row in rows],
                   limit=limit)  # fmt: skip
    else:
        say("No rule hit in what was scanned.")
    if result.many:
        print_grid(("image", "node", "hits", "RAM", "not covered", "failed"), [
            (image.image, image.node, image.hits, _percent(image), _gaps(result, image), _why(image))
            for image in result.images
        ])  # fmt: skip
    failed = f" ({result.failed} of them failed)" if result.failed else ""
    where = f" in {counted(len(result.images), 'image')}{failed}" if result.many else ""
    size = sum(result.facts.scanned.values()) >> 20
    hits, owners = counted(result.facts.hits, "hit"), counted(len(rows), "owner")
    say(f"{hits}{where}, {owners}; {size} MiB in {round(result.seconds, 3)} s")
    for note in result.facts.rules.notes:
        say(f"note: {note}", err=True)
    told = {image.image for image in result.images if image.error is not None} if result.many else set()
    for gap in result.gaps:
        if gap.kind == "image" and gap.where in told:
            continue  # the table says which failed, and why
        say(f"not covered: {gap.kind}: {gap.why} ({counted(gap.count, 'time')}, {gap.where})", err=True)


def shares(result: Hunted) -> list[str]:
    """A line for every image that lacks a part of its node's RAM."""
    if not result.many:
        return [] if result.whole else [result.coverage.text()]
    return [
        f"{image.image}: {_coverage(image).text()}"
        for image in result.images
        if image.ram_total is not None and image.ram_present < image.ram_total
    ]


def _coverage(image: Any) -> Coverage:
    return Coverage(image.ram_total, image.ram_present, (), image.ram_account, {})


def _percent(image: Any) -> str | None:
    return None if image.ram_total is None else _coverage(image).text().split(" of the node")[0]


def _gaps(result: Hunted, image: Any) -> str | None:
    """For how many reasons something of an image was not read; below the table they are named."""
    count = result.uncovered.get(image.image, 0)
    return f"{count} reason{'s' * (count > 1)}, below" if count else None


def _why(image: Any) -> str | None:
    """Why an image failed, in a line that does not name it again."""
    return None if image.error is None else str(image.error).partition("\n")[0].removeprefix(f"{image.image}: ")


def cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """One row of `hits` in the columns that are shown; pods as --pod takes them."""
    pod = "/".join(part for part in (row["namespace"], row["pod_name"] or row["pod_uid"]) if part)
    if not pod and str(row.get("source", "")).endswith(UNPLACED):
        pod = "place not known"
    address, path, data = row.get("vaddr"), row.get("path"), row["data"]
    return (
        row["rule"], row["string"], row["owner"], row.get("pid"), pod or None,
        row["container_name"] or row["container_id"],
        f"{address:#x}" if address is not None else f"phys {row['paddr']:#x}",
        f"{path} (deleted)" if path and row.get("deleted") else path,
        data if len(data) <= _DATA else data[:_DATA] + "...",
    )  # fmt: skip
