# SPDX-License-Identifier: Apache-2.0
"""AppArmor's labels: of every task that of the recording's kernels, and one that is confined."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel.apparmor import labels, security_modules
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.injected import changed, pid_of, task_of
from tests.kernel.hooked import IMAGES

NodeOf = Callable[[str], RamSource]
KIND = "security label"


def test_every_task(image: str, node_of: NodeOf) -> None:
    """No profile is loaded on these images; arm64's 6.1 names no variables, so that nothing is known there."""
    node = node_of(image)
    found = set(labels(node.kernel, node.processes.living))
    gaps = {gap.why: gap.count for gap in node.gaps if gap.kind == KIND}
    modules = security_modules(node.kernel)
    if modules is None:
        assert found == {None} and next(iter(gaps.values())) >= len(node.processes.rows)
        assert "apparmor_blob_sizes" not in node.kernel.symbols
        return
    assert "apparmor" in modules and "capability" in modules
    assert found == {"unconfined"} and gaps == {}


@pytest.mark.parametrize("name", IMAGES)
def test_confined(name: str, node_of: NodeOf) -> None:
    """One label, which all tasks have, with another name and a profile that enforces."""
    clean = node_of(name)
    kernel, task = clean.kernel, task_of(clean, pid_of(clean, "secretd"))
    cred = kernel.pointer(u64(task), "task_struct", "real_cred")
    blob = kernel.symbols["apparmor_blob_sizes"] + kernel.types.offset("lsm_blob_sizes", "lbs_cred")
    offset = kernel.pointers(u64(blob)) & np.uint64(0xFFFFFFFF)
    label = kernel.pointers(kernel.pointer(cred, "cred", "security") + offset)
    name_at = kernel.space.physical(kernel.pointer(label, "aa_label", "hname"))[0]
    profile = kernel.pointers(kernel.embedded(label, "aa_label", "vec"))
    mode = kernel.space.physical(kernel.embedded(profile, "aa_profile", "mode"))[0]
    node = changed(clean, {int(name_at[0]): b"docker\0", int(mode[0]): (0).to_bytes(4, "little")})
    assert set(labels(node.kernel, u64(task))) == {"docker (enforce)"}


def test_another_module(node_of: NodeOf) -> None:
    """Where AppArmor does not run there is nothing of it, and nothing is made up."""
    clean = node_of("s-6.1-small")
    kernel = clean.kernel
    names = kernel.pointers(u64(kernel.symbols["lsm_names"]))
    node = changed(clean, {int(kernel.space.physical(names)[0][0]): b"capability,selinux\0"})
    assert labels(node.kernel, node.processes.living[:3]) == [None] * 3
    assert security_modules(node.kernel) == ["capability", "selinux"] and not [
        gap for gap in node.gaps if gap.kind == KIND
    ]
