# SPDX-License-Identifier: Apache-2.0
"""What readlink shows; the user's path of a file that an overlay backs; files that are torn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import fdtable
from memir.kernel.proc_fd import inodes, links, sound, user_paths
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import rewritten

NodeOf = Callable[[str], RamSource]


def test_texts(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    kernel = node.kernel
    _, _, file = fdtable.open_files(kernel, node.file_tasks)
    assert sound(kernel, file).all()
    assert not sound(kernel, file[:5] + np.uint64(8)).any() and sound(kernel, u64(0)).tolist() == [False]
    mount, dentry = user_paths(kernel, file)
    inode = inodes(kernel, file, dentry)
    assert np.array_equal(inode, kernel.pointer(dentry, "dentry", "d_inode"))
    shown = links(kernel, node.mounts, mount, dentry, inode)
    assert None not in shown.text and (shown.inode > 0).all() and None not in shown.kind
    kinds = dict(zip(shown.text, shown.kind, strict=True))
    assert kinds["/dev/null"] == "char" or kinds["/dev/console"] == "char"
    assert {kind for text, kind in kinds.items() if str(text).startswith("socket:[")} == {"socket"}
    nothing = links(kernel, node.mounts, u64(0), u64(0), u64(0))
    assert (nothing.text, nothing.inode.tolist(), nothing.device) == ([None], [-1], [None])


def test_backing_files_are_shown_by_the_users_path(node_of: NodeOf) -> None:
    """6.12: what a process maps of its overlay is not said to lie in a layer."""
    node = node_of("s-6.12-intruded")
    kernel = node.kernel
    files = np.array([row["file"] for row in _mapped(node)], np.uint64)
    own = kernel.pointer(files, "file", "f_path.dentry")
    _, dentry = user_paths(kernel, files)
    assert (own != dentry).any()
    assert not any("snapshots" in str(row["path"]) for row in _mapped(node) if row["container_id"])


def _mapped(node: RamSource) -> list[dict[str, object]]:
    from memir.tables.files import TABLE

    return [row for row in TABLE.read(node).rows() if row["use"] == "mapped"]


def test_a_pidfd_is_shown_as_it_was_before_it_had_a_file_system(node_of: NodeOf) -> None:
    """6.9 gave them pidfs, whose inodes are regular files; neither readlink nor stat say so."""
    node = node_of("s-6.12-intruded")
    kernel = node.kernel
    _, _, file = fdtable.open_files(kernel, node.file_tasks)
    mount, dentry = user_paths(kernel, file)
    inode = inodes(kernel, file, dentry)
    before = links(kernel, node.mounts, mount, dentry, inode)
    rows = [row for row, text in enumerate(before.text) if str(text).startswith("socket:[")]
    kind = kernel.pointer(kernel.pointer(inode[rows[:1]], "inode", "i_sb"), "super_block", "s_type")
    name = int(kernel.pointer(kind, "file_system_type", "name")[0])
    made = rewritten(kernel, {name: b"pidfs\0"})
    after = links(made, node.mounts, mount, dentry, inode)
    assert {(after.text[row], after.kind[row], after.deleted[row]) for row in rows} == {
        ("anon_inode:[pidfd]", "anonymous", False)
    }
