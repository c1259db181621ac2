# SPDX-License-Identifier: Apache-2.0
"""docs/images/architecture.svg: folders of memir by what they may import, from the layer test's own table.

`python -m documentation.architecture > docs/images/architecture.svg`. A folder stands one row above the highest folder
that it may import, so every import runs downwards.
"""

from __future__ import annotations

import sys
from html import escape

from tests.test_layers import MAY_IMPORT

SAYS = {
    "errors": "one tree, exit codes", "text": "hostile text made safe", "gaps": "what could not be read",
    "documents": "typed records", "image": "bytes of RAM", "evidence": "custody, verify", "aws": "boto3, only here",
    "kubeapi": "the API server", "symbols": "BTF, kallsyms", "kernel": "walks, a file a header",
    "kube": "whose is this", "tables": "one file a table", "hunt": "YARA, only here", "logs": "audit, AWS, flows",
    "findings": "one file a detection", "case": "sealed, SQL, ask", "report": "HTML, SIEM, Markdown",
    "extract": "files, cores", "volatility": "volatility3, only here", "acquire": "transports, sinks",
    "collect": "one pod, two sides", "collected": "a pod as a source",
    "respond": "plan, run, undo", "node": "memir.open", "cli": "one file a verb",
}  # fmt: skip
WIDTH, HEIGHT, ACROSS, DOWN = 150, 46, 166, 78


def rows() -> list[list[str]]:
    """Folders by row, lowest first; node.py and the command line, which are in no table, on top."""
    level: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in level:
            below = MAY_IMPORT.get(name, set()) - {name}
            level[name] = 1 + max(map(of, below), default=-1)
        return level[name]

    level["node"] = 1 + max(of(name) for name in ("findings", "case", "hunt"))
    for name in MAY_IMPORT:
        of(name)
    level["cli"] = 1 + max(level.values())
    answer: list[list[str]] = [[] for _ in range(1 + max(level.values()))]
    for name, row in sorted(level.items()):
        answer[row].append(name)
    return answer


def direct(name: str) -> set[str]:
    """What a folder may import and reaches through no other of them: the arrows that are drawn."""
    beside = {
        "node": {"findings", "case", "hunt"}, "cli": {"report", "respond", "extract", "volatility", "collect"},
    }  # fmt: skip
    table = {**MAY_IMPORT, **beside}
    below = table[name] - {name}
    through = {far for near in below for far in table.get(near, set())}
    return below - through


def svg() -> str:
    """The picture; light and dark by the page's colours."""
    lines = rows()
    wide = max(map(len, lines)) * ACROSS + 16
    high = len(lines) * DOWN + 16
    place: dict[str, tuple[int, int]] = {}
    for row, names in enumerate(reversed(lines)):
        start = (wide - len(names) * ACROSS) // 2 + (ACROSS - WIDTH) // 2
        place.update({name: (start + column * ACROSS, 8 + row * DOWN) for column, name in enumerate(names)})
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img" aria-labelledby="t">',
        '<title id="t">Folders of memir; every arrow is an import, and all run downwards</title>',
        "<style>text{font:13px sans-serif;fill:#1a1a1a;text-anchor:middle}.s{font-size:10px;fill:#444}"
        "rect{fill:#eef2fb;stroke:#5068a8}path{fill:none;stroke:#7a86a8;stroke-opacity:.55}"
        ".b{fill:#fff;stroke:none}</style>",
        f'<rect class="b" width="{wide}" height="{high}"/>',
    ]
    for name, (x, y) in place.items():
        for other in sorted(direct(name)):
            far, low = place[other]
            top, end = y + HEIGHT, low
            middle = (top + end) // 2
            out.append(
                f'<path d="M{x + WIDTH // 2} {top}C{x + WIDTH // 2} {middle} {far + WIDTH // 2} {middle} '
                f'{far + WIDTH // 2} {end}"/>'
            )
    for name, (x, y) in place.items():
        out.append(f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>')
        label = f"{name}.py" if name in ("errors", "text", "gaps", "node", "documents") else f"{name}/"
        out.append(f'<text x="{x + WIDTH // 2}" y="{y + 19}">{label}</text>')
        out.append(f'<text class="s" x="{x + WIDTH // 2}" y="{y + 35}">{escape(SAYS.get(name, ""))}</text>')
    return "\n".join([*out, "</svg>", ""])


if __name__ == "__main__":
    sys.stdout.write(svg())
