# SPDX-License-Identifier: Apache-2.0
"""Whether types that were given by hand are those of the kernel in the image: sizes that the kernel keeps itself.

mm/slab.h, include/linux/slub_def.h: every kmem_cache holds the size of its objects, which for these caches is the
size of one structure. A cache that was merged with others of its size holds the largest, rounded up.
"""

from __future__ import annotations

import numpy as np

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.list import list_nodes
from memir.kernel.space import u64

CACHES = {
    "dentry": "dentry", "inode_cache": "inode", "mnt_cache": "mount", "files_cache": "files_struct",
    "vm_area_struct": "vm_area_struct", "signal_cache": "signal_struct", "cred_jar": "cred", "cred": "cred",
    "nsproxy": "nsproxy", "kernfs_node_cache": "kernfs_node", "fs_cache": "fs_struct", "filp": "file",
}  # fmt: skip
"""Structure by the name of its slab cache."""

_MERGED = 64  # bytes that a merged cache's objects may be larger by: a cache line
_MAX_CACHES = 4096  # a node has some hundred slab caches; a longer list is a loop
_FEWEST = 3


def object_sizes(kernel: Kernel) -> dict[str, int]:
    """Bytes of an object of each slab cache by its name, as the kernel has them; none where they are not readable."""
    head = kernel.symbols.get("slab_caches")
    if head is None or not kernel.types.has("kmem_cache", "object_size"):
        return {}
    quiet = Kernel(kernel.memory, kernel.anchors, Gaps())  # types that do not fit must not fill the gaps
    _, nodes = list_nodes(quiet, u64(head), "slab caches", _MAX_CACHES)
    caches = quiet.container(nodes, "kmem_cache", "list")
    sizes = quiet.read(caches, "kmem_cache", "object_size").astype(np.int64).tolist()
    names = quiet.strings(quiet.pointer(caches, "kmem_cache", "name"), 64)
    return {name.decode("ascii", "replace"): size for name, size in zip(names, sizes, strict=True) if name}


def mismatch(kernel: Kernel) -> str | None:
    """What shows that the types are not this kernel's, in words; None if nothing does."""
    sizes = object_sizes(kernel)
    known = [name for name in CACHES if name in sizes and kernel.types.exists(CACHES[name])]
    if len(known) < _FEWEST:
        return "by them the kernel's list of slab caches cannot be read" if "slab_caches" in kernel.symbols else None
    for name in known:
        stated, real = kernel.types.size(CACHES[name]), sizes[name]
        if not 0 <= real - stated < _MERGED:
            return f"a struct {CACHES[name]} has {stated} bytes by them, the kernel's own slab cache {name} has {real}"
    return None
