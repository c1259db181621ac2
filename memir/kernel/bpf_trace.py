# SPDX-License-Identifier: Apache-2.0
"""BPF programs that watch the kernel: by perf events (kprobe, uprobe, tracepoint), trampolines and raw tracepoints.

kernel/trace/bpf_trace.c, kernel/bpf/syscall.c, include/linux/trace_events.h.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.engine import texts
from memir.kernel.list import slots
from memir.kernel.mount import Mounts
from memir.kernel.pagetable import U64, Bools
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_NAME = 128
_PATH = 4096
_MOST_SHOWN = 4  # functions or places of one link
_MOST = 1 << 20  # MAX_KPROBE_MULTI_CNT
_WORDS = {
    "BPF_TRACE_FENTRY": "fentry", "BPF_TRACE_FEXIT": "fexit", "BPF_TRACE_FSESSION": "fsession",
    "BPF_MODIFY_RETURN": "modify_return", "BPF_LSM_MAC": "lsm", "BPF_TRACE_RAW_TP": "tp_btf", "BPF_TRACE_ITER": "iter",
}  # fmt: skip
"""enum bpf_attach_type, in bpftool's and libbpf's words."""


def event_files(kernel: Kernel, file: U64) -> U64:
    """Those of these struct files that are perf events."""
    operations = kernel.symbols.get("perf_fops")
    if operations is None:
        return file[:0]
    is_event: Bools = kernel.pointer(file, "file", "f_op", gap=False) == np.uint64(operations)
    return file[is_event]


def link_files(kernel: Kernel, link: U64) -> U64:
    """The perf events (struct file) that links of the type perf_event hold (5.15: b89fbfbb854c)."""
    if not len(link) or not kernel.types.has("bpf_perf_link", "perf_file"):
        return link[:0]
    return kernel.pointer(kernel.container(link, "bpf_perf_link", "link"), "bpf_perf_link", "perf_file")


def event_programs(kernel: Kernel, file: U64) -> list[tuple[int, str]]:
    """(address of the program, `kprobe do_sys_openat2`, `tracepoint sched_process_exec`, `uprobe /bin/sh+0x1b20`) of
    perf events."""
    event = kernel.pointer(file, "file", "private_data", gap=False)
    program = kernel.pointer(event, "perf_event", "prog", gap=False)
    event, program = event[program != 0], program[program != 0]
    kind = texts(kernel.strings(kernel.pointer(kernel.pointer(event, "perf_event", "pmu"), "pmu", "name"), _NAME))
    call = kernel.pointer(event, "perf_event", "tp_event")
    # a name, or the tracepoint, which begins with the address of its name
    named = kernel.pointer(call, "trace_event_call", "name")
    first = kernel.try_pointers(named)[0]
    name = texts(kernel.strings(np.where(kernel.space.is_kernel_pointer(first), first, named), _NAME))
    in_file = np.array([of == "uprobe" for of in kind], bool) & (call != 0)  # it has no name of its own
    for row, place in zip(np.flatnonzero(in_file).tolist(), _uprobes(kernel, call[in_file]), strict=True):
        name[row] = place
    words = []
    for of, what, traced in zip(kind, name, (call != 0).tolist(), strict=True):
        if not traced:
            words.append(f"perf_event {of or ''}".rstrip())  # most have no name before 6.12
        else:
            words.append(f"{of or '?'} {what or '?'}")
    return list(zip(program.tolist(), words, strict=True))


def _uprobes(kernel: Kernel, call: U64) -> list[str]:
    """`/usr/lib/libssl.so.3+0x2b70`: the file as it was named, and the place in it, of struct trace_event_call."""
    types = kernel.types
    if not len(call) or not (types.has("trace_uprobe", "filename") and types.has("trace_probe_event", "probes")):
        return ["?"] * len(call)
    event = kernel.container(call, "trace_probe_event", "call")
    node = kernel.pointer(event, "trace_probe_event", "probes.next")
    probe = kernel.container(kernel.container(node, "trace_probe", "list"), "trace_uprobe", "tp")
    names = texts(kernel.strings(kernel.pointer(probe, "trace_uprobe", "filename"), _PATH))
    places = kernel.read(probe, "trace_uprobe", "offset").tolist()
    return [f"{name or '?'}+{place:#x}" for name, place in zip(names, places, strict=True)]


def trampoline_targets(kernel: Kernel, program: U64) -> list[str]:
    """What a program of a link of the type tracing is tied to: `fentry do_unlinkat`, `lsm bpf_lsm_file_open`, ..."""
    words = {value: name for name, value in reversed((kernel.types.enum("bpf_attach_type") or {}).items())}
    kind = kernel.read(program, "bpf_prog", "expected_attach_type").tolist()
    aux = kernel.pointer(program, "bpf_prog", "aux")
    names = texts(kernel.strings(kernel.pointer(aux, "bpf_prog_aux", "attach_func_name"), _NAME))
    return [
        f"{_WORDS.get(words.get(value, ''), words.get(value, str(value)).removeprefix('BPF_').lower())} {name or '?'}"
        for value, name in zip(kind, names, strict=True)
    ]


def raw_tracepoints(kernel: Kernel, link: U64) -> list[str]:
    """`raw_tracepoint sched_switch` of links of that type."""
    own = kernel.pointer(kernel.container(link, "bpf_raw_tp_link", "link"), "bpf_raw_tp_link", "btp")
    point = kernel.pointer(own, "bpf_raw_event_map", "tp")
    names = texts(kernel.strings(kernel.pointer(point, "tracepoint", "name"), _NAME))
    return [f"raw_tracepoint {name or '?'}" for name in names]


def many_functions(kernel: Kernel, link: U64, name_of: Callable[[int], str]) -> list[str]:
    """`kprobe_multi do_sys_openat2, do_unlinkat and 3 more` of links of that type (5.18: 0dcac2725406)."""
    if not len(link) or not kernel.types.has("bpf_kprobe_multi_link", "addrs"):
        return ["kprobe_multi ?"] * len(link)
    own = kernel.container(link, "bpf_kprobe_multi_link", "link")
    first = kernel.pointer(own, "bpf_kprobe_multi_link", "addrs")
    count = kernel.read(own, "bpf_kprobe_multi_link", "cnt").astype(np.int64)
    targets = []
    for start, number in zip(first.tolist(), count.tolist(), strict=True):
        element, more = _first_ones(kernel, start, number, 8, "functions")
        names = ", ".join(name_of(address) for address in kernel.pointers(element).tolist())
        targets.append(f"kprobe_multi {names or '?'}{more}")
    return targets


def many_places(kernel: Kernel, link: U64) -> list[str]:
    """`uprobe_multi /usr/lib/libssl.so.3+0x2b70, +0x2c10 and 3 more` of links of that type (6.6: 89ae89f53d20)."""
    if not len(link) or not kernel.types.has("bpf_uprobe_multi_link", "uprobes"):
        return ["uprobe_multi ?"] * len(link)
    own = kernel.container(link, "bpf_uprobe_multi_link", "link")
    mount = kernel.container(kernel.pointer(own, "bpf_uprobe_multi_link", "path.mnt"), "mount", "mnt")
    paths = Mounts(kernel).paths(mount, kernel.pointer(own, "bpf_uprobe_multi_link", "path.dentry"))
    first = kernel.pointer(own, "bpf_uprobe_multi_link", "uprobes")
    count = kernel.read(own, "bpf_uprobe_multi_link", "cnt").astype(np.int64)
    size = kernel.types.size("bpf_uprobe")
    targets = []
    for path, start, number in zip(texts(paths), first.tolist(), count.tolist(), strict=True):
        element, more = _first_ones(kernel, start, number, size, "places")
        every = ", ".join(f"+{offset:#x}" for offset in kernel.read(element, "bpf_uprobe", "offset").tolist())
        targets.append(f"uprobe_multi {path or '?'}{every or '+?'}{more}")
    return targets


def _first_ones(kernel: Kernel, start: int, number: int, size: int, what: str) -> tuple[U64, str]:
    """(addresses of the elements of a link's array that are shown, ` and 3 more`); none, and a gap, where it has an
    absurd number of them."""
    if not start or not 0 < number <= _MOST:
        kernel.gaps.add("BPF links", f"{start:#x}", f"absurd number of {what}")
        return np.zeros(0, np.uint64), ""
    shown = min(number, _MOST_SHOWN)
    more = f" and {number - shown:,} more" if number > shown else ""
    return slots(kernel, u64(start), u64(shown), size, "BPF links"), more


def iterators(kernel: Kernel, link: U64) -> list[str]:
    """`iter task` of links of the type iter: what is listed to who reads the program's file."""
    if not len(link) or not kernel.types.has("bpf_iter_link", "tinfo"):
        return ["iter ?"] * len(link)
    target = kernel.pointer(kernel.container(link, "bpf_iter_link", "link"), "bpf_iter_link", "tinfo")
    registered = kernel.pointer(target, "bpf_iter_target_info", "reg_info")
    names = texts(kernel.strings(kernel.pointer(registered, "bpf_iter_reg", "target"), _NAME))
    return [f"iter {name or '?'}" for name in names]


def dispatcher_target(kernel: Kernel, name: str, place: int) -> int:
    """Where a BPF dispatcher's function jumps to by what the kernel keeps of it, 0 for any other function, or where no
    program is dispatched. place: its address (kernel/bpf/dispatcher.c: bpf_dispatcher_xdp_func)."""
    keeper = kernel.symbols.get(name.removesuffix("_func"), 0)
    if not keeper or not name.startswith("bpf_dispatcher_") or not kernel.types.has("bpf_dispatcher", "image_off"):
        return 0
    own = u64(keeper)
    used = kernel.read(own, "bpf_dispatcher", "num_progs")[0]
    if not used or int(kernel.pointer(own, "bpf_dispatcher", "func")[0]) != place:
        return 0
    image = int(kernel.pointer(own, "bpf_dispatcher", "image")[0])
    return image + int(kernel.read(own, "bpf_dispatcher", "image_off")[0]) if image else 0
