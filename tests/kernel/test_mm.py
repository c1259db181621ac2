# SPDX-License-Identifier: Apache-2.0
"""Arguments, environments and executables, against /proc, and on memory that was changed to lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.gaps import Gaps
from memir.kernel import mm
from memir.kernel.engine import Kernel
from memir.kernel.mount import Mounts
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import damaged, patched, zeroed
from tests.images import case
from tests.injected import pid_of, with_members

NodeOf = Callable[[str], RamSource]
U64 = np.ndarray[tuple[int], np.dtype[np.uint64]]


def spaces(node: RamSource) -> U64:
    return node.kernel.pointer(node.processes.task, "task_struct", "mm")


def shown(parts: list[bytes] | None) -> list[str] | None:
    return None if parts is None else [part.decode("utf-8", "backslashreplace") for part in parts]


def row_of(node: RamSource, pid: int) -> int:
    return next(at for at, row in enumerate(node.processes.rows) if row.pid == pid)


def test_arguments_and_environments_are_those_of_proc(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    address = spaces(node)
    found = mm.arguments(node.kernel, address, np.ones(len(address), bool))
    compared = 0
    for at, row in enumerate(node.processes.rows):
        truth = case(image).recorded().get(row.pid)
        if truth is None or truth.args is None or row.state in "ZX":
            continue
        assert shown(found.args[at]) == truth.args, row.pid
        if truth.environ is not None:
            assert shown(found.environ[at]) == truth.environ, row.pid
        compared += bool(truth.args)
    assert compared > 10


def test_executables_are_those_of_proc(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    found = mm.executables(node.kernel, spaces(node), Mounts(node.kernel))
    compared = deleted = 0
    for at, row in enumerate(node.processes.rows):
        truth = case(image).recorded().get(row.pid)
        if truth is None or truth.exe is None or row.state in "ZX":
            continue
        path = found.path[at]
        assert found.known[at] and path is not None
        name = path.decode("utf-8", "backslashreplace") + (" (deleted)" if found.deleted[at] else "")
        assert name.endswith(truth.exe), row.pid  # /proc shows the path from the reader's root
        compared += 1
        deleted += bool(found.deleted[at])
    assert compared > 10 and deleted >= 1


def test_address_spaces(node_of: NodeOf, image: str) -> None:
    """Kernel threads have none by nature; a task of which nobody says so and that has none is not known."""
    node = node_of(image)
    task, rows = node.processes.task, node.processes.rows
    thread = np.array([row.kernel_thread for row in rows])
    ended = np.array([row.state in "ZX" for row in rows])
    address, known = mm.address_spaces(node.kernel, task, thread | ended)
    assert known.all()
    assert np.array_equal(address == 0, thread | ended)
    own = Kernel(node.kernel.memory, node.kernel.anchors, Gaps())
    _, known = mm.address_spaces(own, task, np.zeros(len(task), bool))
    assert np.array_equal(known, ~(thread | ended))
    assert [gap.count for gap in own.gaps if gap.kind == "mm"] == [int((thread | ended).sum())]


def test_user_ranges(node_of: NodeOf) -> None:
    """Bytes across pages; ranges that are empty, backwards, too long or of no process."""
    node = node_of("s-6.1-small")
    kernel = Kernel(node.kernel.memory, node.kernel.anchors, Gaps())
    address = spaces(node)[[row_of(node, 1)]]
    root = mm.page_roots(kernel, address)
    start = kernel.read(address, "mm_struct", "arg_start")
    low, limit = int(start[0]), kernel.space.user_limit
    roots = u64(int(root[0]), int(root[0]), int(root[0]), int(root[0]), 0, int(root[0]))
    starts = u64(low, low, low, low, low, limit)
    ends = u64(low + 6, low, low - 1, low + mm.ARG_LIMIT + 1, low + 6, limit + 1)
    assert mm.user_ranges(kernel, roots, starts, ends, "args") == [b"/bin/b", b"", b"", None, None, None]
    assert [(gap.why, gap.count) for gap in kernel.gaps] == [("range is longer than the kernel allows", 2)]
    (page,) = mm.user_ranges(kernel, root, u64(low & ~0xFFF), u64((low & ~0xFFF) + 4096), "args")
    assert page is not None and len(page) == 4096 and page[low & 0xFFF :].startswith(b"/bin/busybox\0")
    assert mm.user_ranges(kernel, root, u64(0), u64(4096), "args") == [None]  # nobody maps the first page
    assert [gap.why for gap in kernel.gaps][-1] == "page not in RAM"
    assert mm.page_roots(kernel, u64(0)).tolist() == [0]


def test_arguments_that_were_overwritten(node_of: NodeOf) -> None:
    """setproctitle(3): without a NUL at its end, the title is what comes to the first NUL, maybe in the environment."""
    node = node_of("s-6.1-small")
    kernel = node.kernel
    pause = next(row.pid for row in node.processes.rows if row.args == ["/pause"])
    address = spaces(node)[[row_of(node, pause), row_of(node, 1)]]
    end = kernel.read(address, "mm_struct", "arg_end")
    assert np.array_equal(end, kernel.read(address, "mm_struct", "env_start"))
    pa, known = kernel.space.user_physical(mm.page_roots(kernel, address), end - np.uint64(1))
    assert known.all()
    before = mm.arguments(kernel, address, np.ones(2, bool))
    assert before.args == [[b"/pause"], [b"/bin/busybox", b"sh", b"/init2"]]
    lies = patched(kernel.memory, {int(at): b"!" for at in pa})
    after = mm.arguments(Kernel(damaged(kernel.memory, lies), kernel.anchors), address, np.ones(2, bool))
    (variable, *_) = before.environ[0] or []
    assert variable.startswith(b"PATH=")
    assert after.args == [[b"/pause!" + variable], [b"/bin/busybox"]]
    assert after.environ == before.environ


def test_a_torn_mm_says_nothing(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    kernel = node.kernel
    address = spaces(node)[[row_of(node, 1)]]
    pa, _ = kernel.space.physical(address)
    frames = range(int(pa[0]) >> 12, (int(pa[0]) + kernel.types.size("mm_struct") >> 12) + 1)
    torn = Kernel(damaged(kernel.memory, zeroed(frames)), kernel.anchors)
    found = mm.arguments(torn, address, np.ones(1, bool))
    assert (found.args, found.environ) == ([None], [None])
    exe = mm.executables(torn, address, Mounts(torn))
    assert exe.path == [None] and not exe.known.any() and not exe.deleted.any()
    assert {gap.kind for gap in torn.gaps} >= {"args bounds", "environ bounds", "exe"}
    assert not mm.address_spaces(torn, node.processes.task[[row_of(node, 1)]], np.zeros(1, bool))[1].any()


def test_files_that_are_still_the_executables(node_of: NodeOf) -> None:
    """What stands there after the file was closed is a device, a folder, or a file of another inode."""
    node = node_of("s-5.10-small-v1")
    own = spaces(node)[[row_of(node, pid_of(node, "secretd"))]]
    file, whole = mm.exe_files(node.kernel, own)
    assert (len(file), whole.tolist()) == (1, [True])
    inode = int(node.kernel.pointer(file, "file", "f_inode")[0])
    device = with_members(node, {(inode, "inode", "i_mode"): 0o020666})
    assert mm.exe_files(device.kernel, own)[1].tolist() == [False]
    assert mm.executables(device.kernel, own, Mounts(device.kernel)).path == [None]
