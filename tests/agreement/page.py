# SPDX-License-Identifier: Apache-2.0
"""docs/reference/agreement.md, made of what was compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from memir.tables.table import tables
from tests.agreement.compare import KINDS, OTHER, UNEXPLAINED, Agreement, Difference
from tests.images import ROOT

PAGE = ROOT / "docs/reference/agreement.md"
ByImage = Mapping[str, Mapping[str, Agreement]]

ELSEWHERE = {
    "api_pods": "the API's own listing, as a table",
    "claims": "what each witness says; what is believed of them is in the tables above",
    "lookups": "names that are not there, which /proc does not list: tests/tables/test_lookups.py has them by another "
    "walk and by the intruder's script",
    "neighbours": "not recorded: tests/tables/test_neighbours.py has what follows from interfaces and QEMU's network",
    "page_hashes": "tests/tables/test_page_hashes.py: pages of a copied program are the original's",
    "secrets": "tests/hunt/test_secrets.py: what was planted in pods",
}
"""Tables of an image that no recording lists, and what holds them."""

COUNTS = " | ".join(("rows told", "equal", *KINDS))
HEAD = """# Agreement with what nodes told of themselves

Made by `python -m tests.agreement --write` ({images} images: `MEMIR_IMAGES` and samples/). Truth is what the node's own
/proc, bpf(2), runtime, API server or recorder said within seconds before its RAM was taken. A row that one side alone
has, another value, and null where the recording has a value are a difference each. Every difference has its reason
below; one without makes the command fail, and a test (`tests/agreement`) compares the samples' lines with this page.
Processor time and memory of each table beside volatility3's: [speed](speed.md#tables-beside-volatility3s-plugins).
"""


def numbers(agreement: Agreement) -> str:
    values = [agreement.rows, agreement.equal, *map(agreement.count, KINDS)]
    return " | ".join(f"{value:,}" for value in values)


def by_table(by_image: ByImage) -> Iterator[str]:
    yield f"| table | images | columns compared | {COUNTS} |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for table in sorted({table for of_image in by_image.values() for table in of_image}):
        every = Agreement(table)
        images = [of_image[table] for of_image in by_image.values() if table in of_image]
        for agreement in images:
            every.take(agreement)
        columns = ", ".join(sorted(every.columns)) or "that it is there"
        yield f"| {table} | {len(images)} | {columns} | {numbers(every)} |"


def where(difference: Difference) -> str:
    """The column that differs, or which side alone has the row."""
    if not difference.column:
        return difference.kind
    return f"`{difference.column}`" if difference.kind == OTHER else f"`{difference.column}` {difference.kind}"


def differences(by_image: ByImage) -> Iterator[str]:
    yield "| table | told by | difference | rows | images | reason |"
    yield "|---|---|---|---|---|---|"
    counted: Counter[Difference] = Counter()
    images: dict[Difference, list[str]] = {}
    for image, of_image in by_image.items():
        for agreement in of_image.values():
            counted += agreement.differences
            for difference in agreement.differences:
                images.setdefault(difference, []).append(image)
    for each in sorted(counted, key=lambda each: (each.table, each.what, where(each), each.reason)):
        numbers_of = f"{counted[each]:,} | {len(images[each])}"
        yield f"| {each.table} | {each.what} | {where(each)} | {numbers_of} | {each.reason} |"


def image_lines(image: str, of_image: Mapping[str, Agreement]) -> Iterator[str]:
    for table in sorted(of_image):
        yield f"| {image} | {table} | {'; '.join(of_image[table].what)} | {numbers(of_image[table])} |"


def page(by_image: ByImage) -> str:
    lines = [HEAD.format(images=len(by_image)), "## By table", "", *by_table(by_image), ""]
    lines += ["## Differences and their reasons", "", *differences(by_image), ""]
    lines += ["## Tables that no recording lists", "", "| table | what holds it |", "|---|---|"]
    lines += [f"| {table} | {reason} |" for table, reason in sorted(ELSEWHERE.items())]
    lines += ["", "## By image", ""]
    lines.append(f"| image | table | told by | {COUNTS} |")
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for image in sorted(by_image):
        lines += image_lines(image, by_image[image])
    return "\n".join(lines) + "\n"


def unexplained(by_image: ByImage) -> list[str]:
    """Differences without a reason: image, table, what differs, an example."""
    return [
        f"{image}: {table}: {each.what}: {where(each)}: {number} rows, as {agreement.examples[each]}"
        for image, of_image in by_image.items()
        for table, agreement in of_image.items()
        for each, number in agreement.differences.items()
        if each.reason == UNEXPLAINED
    ]


def untold(by_image: ByImage) -> set[str]:
    """Tables of an image that nothing compares and that ELSEWHERE does not name."""
    of_ram = {name for name, table in tables().items() if "ram" in table.readers}
    return of_ram - {table for of_image in by_image.values() for table in of_image} - set(ELSEWHERE)
