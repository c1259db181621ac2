# SPDX-License-Identifier: Apache-2.0
"""The table `hooks`: what is hooked in the kernel, and whether that is what a kernel and its modules do themselves.

Kernel text and read-only data are compared with a copy of theirs where one is given (`--reference`). Without it a
changed instruction has a row only at the entry of a function that ftrace knows, where all have the same.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from memir.kernel import ftrace, ftrace_entries, idt, kprobes, netfilter, sys_call_table, tracepoint, tty_ldisc, umh
from memir.kernel.bpf_trace import dispatcher_target
from memir.kernel.code_address import Code, CodeMap, Hook
from memir.kernel.engine import texts
from memir.kernel.reference_image import ImageReference, not_judged
from memir.kernel.reference_text import changed_text
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    kind             string       system call, interrupt, ftrace, text, rodata, kprobe, tracepoint, netfilter, terminal, core_pattern, modprobe_path
    name             string       which: sys_call_table[62], vector 128, a function, a tracepoint, `ipv4 LOCAL_IN`, ...
    judgement        string       expected: the kernel's or its modules' own; review: rare, know why; unexpected; null: not known
    why              string       what the judgement rests on
    target           uint64       address of the code that is called
    symbol           string       symbol there, with the distance from its start
    module           string       module whose text that is; null for the kernel's own, and for nobody's
    value            string       of core_pattern and modprobe_path: what it is set to; of text and rodata against a reference: 16 bytes, before -> now
    priority         int32        of netfilter: order among the hooks of one point
    net_ns           uint64       of netfilter: network namespace inum
    address          uint64       where the pointer or text lies
    source           string       where the row comes from
""")  # noqa: E501
CHECKS = (sys_call_table.KIND, idt.KIND, ftrace.KIND, ftrace_entries.KIND, kprobes.KIND, tracepoint.KIND,
          netfilter.KIND, tty_ldisc.KIND, *umh.VARIABLES)  # fmt: skip
"""Kinds of gaps: what of the kernel could not be checked."""
_SOURCES = {
    "system call": "sys_call_table", "interrupt": "idt_table", "ftrace": "struct ftrace_ops", "kprobe": "struct kprobe",
    "tracepoint": "struct tracepoint", "netfilter": "nf_hook_entries", "terminal": "tty_ldisc_ops",
    "text": "struct dyn_ftrace",
}  # fmt: skip
_STUBS = ("irq_entries_start", "spurious_entries_start")  # a stub of each vector, behind one symbol
_TERMINAL = {"receive_buf": "n_tty_receive_buf", "receive_buf2": "n_tty_receive_buf2"}
_DUMPERS = re.compile(
    r"\|(/usr)?/(lib|libexec|share|sbin|bin)/(systemd/systemd-coredump|abrt-hook-ccpp|apport/apport|false)( |$)"
)
_ONLY_CHANGED = ("system call", "interrupt", "terminal")  # which the kernel has many of
_TEXT = ("text", "rodata")  # with a value: compared with the reference
_DEFAULTS = ("core", "/sbin/modprobe")  # as the kernel is built
_MODPROBE = ("/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe")
Judgement = tuple[str | None, str]


def read(source: RamSource) -> Frame:
    """Every deviation, and every netfilter hook, by kind and name."""
    kernel = source.kernel
    code = CodeMap(kernel, source.modules)
    net, inum = source.net_namespaces
    spaces = dict(zip(net.tolist(), inum.tolist(), strict=True))
    rows: list[dict[str, Any]] = []
    for hook in _hooks(source, code):
        place = code.find(hook.target)
        judgement, why = _judge(source, code, hook, place)
        if (judgement == "expected" and hook.kind in _ONLY_CHANGED) or hook.value in _DEFAULTS:
            continue
        (module,) = texts(kernel.strings(kernel.embedded(u64(place.module), "module", "name"), 64))
        made = {"kind": hook.kind, "name": hook.name, "judgement": judgement, "why": why, "symbol": place.text}
        rows.append(made | {
            "target": hook.target or None, "module": module, "value": hook.value, "priority": hook.priority,
            "net_ns": spaces.get(hook.net) or None, "address": hook.address,
            "source": "--reference" if hook.kind in _TEXT and hook.value else _SOURCES.get(hook.kind, hook.kind),
        })  # fmt: skip
    rows.sort(key=lambda row: (row["kind"], row["net_ns"] or 0, row["name"], row["address"]))
    names = [column.name for column in COLUMNS]
    return Frame(
        {name: [row[name] for row in rows] for name in names},
        np.array([row["net_ns"] or 0 for row in rows], np.uint64),
    )


def _hooks(source: RamSource, code: CodeMap) -> list[Hook]:
    """Everything that is checked; without the bounds of the kernel's text nothing of code can be."""
    kernel = source.kernel
    if not code.known:
        for kind in CHECKS[: -len(umh.VARIABLES)]:
            kernel.gaps.add(kind, "", "where the kernel's text lies is not known: no symbol `_stext`")
        return umh.helper_paths(kernel)
    modules = source.modules
    net, devices = source.net_namespaces[0], source.interfaces
    return [
        *sys_call_table.system_calls(kernel, code),
        *idt.interrupts(kernel),
        *ftrace.ftrace_hooks(kernel, code),
        *ftrace_entries.changed_entries(kernel, code),
        *kprobes.kprobe_hooks(kernel, code),
        *tracepoint.tracepoint_hooks(kernel, modules.module[modules.whole]),
        *netfilter.netfilter_hooks(kernel, net, devices.device, net[devices.net]),
        *tty_ldisc.line_disciplines(kernel, code),
        *umh.helper_paths(kernel),
        *_changed_text(source, code),
    ]


def _changed_text(source: RamSource, code: CodeMap) -> list[Hook]:
    """Against the build's own file rows; against another image gaps alone."""
    if isinstance(source.reference, ImageReference):
        not_judged(source.kernel, code, source.reference)
        return []
    return changed_text(source.kernel, code, source.reference) if source.reference is not None else []


def _judge(source: RamSource, code: CodeMap, hook: Hook, place: Code) -> Judgement:
    if hook.kind in umh.VARIABLES:
        return _judge_text(hook)
    if hook.kind in _TEXT and hook.value:
        return "unexpected", "differs from the kernel's build where the kernel itself writes nothing"
    if hook.kind == "text" and hook.target and hook.target == dispatcher_target(source.kernel, hook.name, hook.address):
        return "expected", "BPF's dispatcher, which calls the programs of XDP"
    if hook.kind == "text":
        return "unexpected", "the function begins with another instruction than ftrace leaves there"
    if hook.kind == "interrupt" and place.area == "init" and "early_idt_handler_array" in place.names:
        return "expected", "never set since boot: it names code that was freed then"
    if place.area in ("elsewhere", "init"):
        if not code.modules_known:
            return None, "in no module that is known, and not all are"
        return "unexpected", "code in no module's text, nor in the kernel's"
    if place.area == "module":
        return _judge_module(source, hook, place)
    amiss = (hook.kind == "system call" and not sys_call_table.is_call(place)) or (
        hook.kind == "interrupt" and not (place.start or set(_STUBS) & set(place.names))
    )
    if amiss and not place.start and not code.complete:
        return None, "kernel text, at no start of a function that the symbol file names; it names not all"
    if amiss and hook.kind == "system call":
        unused = "; x64_sys_call is called instead" if sys_call_table.dispatched_by_function(source.kernel) else ""
        return "unexpected", f"kernel text, but no system call's function{unused}"
    if amiss:
        return "unexpected", "kernel text, but not where a function starts"
    if hook.kind == "terminal" and hook.name.startswith("n_tty ") and place.text != _TERMINAL[hook.name[6:]]:
        return "unexpected", "not the function that terminals are made with"
    return "expected", "function of the kernel itself"


def _judge_module(source: RamSource, hook: Hook, place: Code) -> Judgement:
    """Code of a module: what netfilter and terminals are for, and others are not."""
    row = int(np.searchsorted(source.modules.module, np.uint64(place.module)))
    judged, seen = source.modules.judged, source.modules.seen
    if any(judged[name][row] and not seen[name][row] for name in ("list", "kset", "tree")):
        return "unexpected", "function of a module that hides"
    if hook.kind in ("system call", "interrupt"):
        return "unexpected", "function of a module"
    if hook.kind in ("netfilter", "terminal") and not hook.name.startswith("n_tty "):
        return "expected", "function of a module that hides from nobody"
    return "review", "function of a module: monitoring does this, and rootkits"


def _judge_text(hook: Hook) -> Judgement:
    value = hook.value or ""
    if hook.kind == "modprobe_path":
        usual = value in _MODPROBE
        return ("expected", "a usual path") if usual else ("unexpected", "started as root: no path that is usual")
    if not value.startswith("|"):
        return "expected" if value == "core" else "review", "a file that dumps go to"
    if _DUMPERS.match(value):
        return "expected", "pipe to a program that distributions install"
    return "unexpected", "pipe to a program, started as root outside of the container that crashed"


TABLE = Table(
    "hooks", "What is hooked in the kernel, netfilter's hooks, and paths of programs that it starts.", COLUMNS,
    "namespace", {"ram": read},
)  # fmt: skip
