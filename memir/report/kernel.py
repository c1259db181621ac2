# SPDX-License-Identifier: Apache-2.0
"""Whether the kernel can be trusted, in one line that claims no more than was looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
_CHECKS = ("system call table", "interrupt table", "ftrace", "function entries", "kprobes", "tracepoints",
           "netfilter hooks", "terminals", "core_pattern", "modprobe_path", "BPF programs",
           "BPF attachments", "BPF links", "BPF of network namespaces", "BPF struct_ops", "tc filters",
           "tc actions")  # fmt: skip
_TEXT = "changes of text and read-only data"
_SITES = "text and read-only data where the kernel writes itself, and pages that are not there"
_OTHER = "text and read-only data where another image of the build differs"
_NEVER = {
    "bpf": ["BPF of routes/xt_bpf/other qdiscs"],
    "hooks": [_TEXT],  # but for entries of functions
}
"""What no version of a table looks at yet: said whatever was read. With a reference the text was compared (_SITES)."""
_MOST = 4  # names or numbers of what hides
_WITNESSES = {"module list", "module kset", "module tree", "module scan", "module"}


def kernel_line(tables: Mapping[str, Sequence[Row]], gaps: Iterable[Row]) -> str | None:
    """`59 modules, none hidden; no unexpected hook; not checked: ...`; None where neither table was read.

    Tasks that hide are those of the findings, which weigh what the image lacks; that none does is not said here. gaps:
    of the case, each with its `kind`: what could not be read is named, and what is never compared always.
    """
    missing = {gap["kind"] for gap in gaps}
    unchecked = _unread(missing)
    parts = []
    if hidden := sorted({row["pid"] for row in tables.get("findings", ()) if row["kind"] == "hidden-task"}):
        some = ", ".join(map(str, hidden[:_MOST])) + (", ..." if len(hidden) > _MOST else "")
        parts.append(f"{len(hidden)} hidden task{'s' * (len(hidden) != 1)} (pid {some})")
    if "modules" in tables:
        parts.append(_modules(tables["modules"]))
    if "bpf" in tables and "BPF programs" not in missing:
        count = sum(row["kind"] == "program" for row in tables["bpf"])
        parts.append(f"{count} BPF program{'s' * (count != 1)}")
    if "hooks" in tables:
        parts.append(_hooks(tables["hooks"], bool(unchecked)))
    if not parts:
        return None
    return "; ".join(parts) + "; not checked: " + ", ".join(not_checked(tables, missing))


def not_checked(tables: Collection[str], missing: Collection[str]) -> list[str]:
    """What of the kernel nothing looked at. tables: names of those that were read; missing: kinds of gaps."""
    never = [words for table, each in _NEVER.items() if table in tables or table == "hooks" for words in each]
    for kind, instead in (("kernel text", _SITES), ("kernel text beside another image", _OTHER)):
        if kind in missing:
            never = [instead if words == _TEXT else words for words in never]
    return [*_unread(missing), *never]


def _unread(missing: Collection[str]) -> list[str]:
    modules = ["modules by all witnesses"] if _WITNESSES.intersection(missing) else []
    return [kind for kind in _CHECKS if kind in missing] + modules


def _modules(rows: Sequence[Row]) -> str:
    hidden = sorted(row["name"] or "without name" for row in rows if row["hidden"])
    unknown = sum(row["hidden"] is None for row in rows)
    words = f"{len(hidden)} hidden ({', '.join(hidden[:_MOST])})" if hidden else "none seen to hide"
    return f"{len(rows)} module{'s' * (len(rows) != 1)}, {words}" + (f", {unknown} not judged" if unknown else "")


def _hooks(rows: Sequence[Row], partly: bool) -> str:
    count = Counter(row["judgement"] for row in rows)
    kinds = Counter(row["kind"] for row in rows if row["judgement"] == "unexpected")
    words = "no unexpected hook" + (" where it could be checked" if partly else "")
    if kinds:
        total = kinds.total()
        each = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
        words = f"{total} unexpected hook{'s' * (total != 1)} ({each})"
    words += f", {count['review']} to review" if count["review"] else ""
    return words + (f", {count[None]} not judged" if count[None] else "")
