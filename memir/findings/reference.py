# SPDX-License-Identifier: Apache-2.0
"""docs/reference/findings.md: `python -m memir.findings.reference > docs/reference/findings.md`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memir.findings.attack import VERSION, technique
from memir.findings.finding import Detection
from memir.findings.registry import detections
from memir.text import say_raw

_HEAD = f"""# Findings

Made by `python -m memir.findings.reference` from the detections' own files; edit those.

A finding is a claim with the rows that prove it (`evidence`: select * from TABLE where KEY) and its doubt (`benign`,
`missed`). This is the closed list of kinds. `memir findings CASE` prints those of a case, `--explain KIND` what stands
here; the columns are in [tables.md](tables.md), the same rows in `findings.json`. Techniques are those of MITRE ATT&CK
v{VERSION}.

Severities: critical, high (act now), medium (look at it today), low and info (as many nodes have it; good to know).
"""


def reference() -> str:
    """The whole page as Markdown, with a final newline."""
    kinds = "".join(f"| [{each.kind}](#{each.kind}) | {each.title} | {each.technique} |\n" for each in _every())
    table = f"| kind | what it is | technique |\n|---|---|---|\n{kinds}"
    return "\n".join([_HEAD, table, *("\n".join(_section(each)) for each in _every())])


def _every() -> Iterable[Detection]:
    return detections().values()


def _section(each: Detection) -> Iterator[str]:
    attack = technique(each.technique)
    v19 = f"; {attack.v19} since v19" if attack.v19 != attack.id else ""
    yield f"## {each.kind}\n"
    yield f"{each.title}. {each.how}\n"
    yield f"- why: {each.why}"
    yield f"- technique: {attack.id} {attack.name} ({', '.join(attack.tactics)}{v19})"
    yield f"- looks at: {', '.join(each.tables)}" + (f"; also {', '.join(each.more)}" if each.more else "")
    for name, values in (
        ("next", each.check_next), ("harmless", each.benign), ("cannot see", each.missed),
        ("known as", each.also_known),
    ):  # fmt: skip
        if values:
            yield f"- {name}: {'; '.join(values)}"
    yield ""


if __name__ == "__main__":
    say_raw(reference())
