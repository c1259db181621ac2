# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Arguments and titles as /proc/PID/cmdline has them, by linux.psaux of an image whose memory holds them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from volatility3.plugins.linux import psaux

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.mm import page_roots
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.locate import locate
from memir.volatility.run import Host
from memir.volatility.titles import MAX_ARGUMENTS, command_line, whole_titles
from tests.damage import damaged, patched
from tests.images import case


def memory(data: bytes, start: int = 0x1000) -> Callable[[int, int], bytes]:
    def read(address: int, size: int) -> bytes:
        if address < start or address + size > start + len(data):
            raise ValueError("not there")
        return data[address - start : address - start + size]

    return read


@pytest.mark.parametrize(
    ("data", "end", "environ_end", "shown"),
    [
        (b"a\0-b\0X=1\0", 5, 9, b"a\0-b\0"),  # arguments, as they were given
        (b"sshd: listener on 22\0\0\0", 5, 23, b"sshd: listener on 22"),  # a title that runs on
        (b"nginx\0\0x\0", 8, 9, b"nginx"),  # one that is shorter
        (b"titled", 6, 6, b"titled"),  # no environment
        (b"t" * 6000, 100, 6000, b"t" * 4096),  # one without an end
        (b"abc", 3, 0, b"abc"),  # the environment lies elsewhere
        (b"a" * 9000 + b"\0", 9001, 9001, b"a" * 9000 + b"\0"),  # longer than a page
    ],
)
def test_what_is_shown(data: bytes, end: int, environ_end: int, shown: bytes) -> None:
    assert command_line(memory(data), 0x1000, 0x1000 + end, 0x1000 + environ_end if environ_end else 0) == shown


def test_bounds_that_are_none() -> None:
    for start, end in ((0, 0), (5, 5), (9, 3), (0x1000, 0x1001 + MAX_ARGUMENTS)):
        assert command_line(memory(b"a"), start, end, 0) is None
    with pytest.raises(ValueError, match="not there"):
        command_line(memory(b"abc"), 0x1000, 0x1003, 0x2000)  # the title goes on where nothing is


def test_a_title_written_into_an_image() -> None:
    """A title over the arguments and on into the environment of a process, as sshd writes it; stock psaux cuts it."""
    with case("s-6.1-small").open() as ram:
        anchors = locate(ram)
        node = RamSource(Kernel(ram, anchors, Gaps()))
        kernel = node.kernel
        process = next(row for row in node.processes.rows if row.pid != 1 and row.args and row.environ)
        mm = kernel.pointer(u64(process.task), "task_struct", "mm")
        start, end, behind = (
            int(kernel.read(mm, "mm_struct", name)[0]) for name in ("arg_start", "arg_end", "env_end")
        )
        title = b"worker: " + b"t" * (end - start)
        assert behind - start > len(title) and start % 4096 + len(title) < 4096
        pa, mapped = kernel.space.user_physical(page_roots(kernel, mm), u64(start))
        assert mapped.all()
        changed = damaged(ram, patched(ram, {int(pa[0]): title + bytes(behind - start - len(title))}))
        rows = Host(changed, anchors).run("linux.psaux", ["--pid", str(process.pid)]).dicts()
        assert [row["ARGS"] for row in rows] == [title.decode()]
        # memir's own reading agrees
        own = next(row for row in RamSource(Kernel(changed, anchors, Gaps())).processes.rows if row.pid == process.pid)
        assert own.args == [title.decode()]


def test_the_plugin_is_given_back() -> None:
    before = psaux.PsAux._get_command_line_args
    with whole_titles():
        assert psaux.PsAux._get_command_line_args is not before
    assert psaux.PsAux._get_command_line_args is before
