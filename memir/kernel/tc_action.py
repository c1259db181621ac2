# SPDX-License-Identifier: Apache-2.0
"""net/sched/act_api.c, act_bpf.c: BPF programs that are actions of tc, which filters of any kind may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import list_nodes
from memir.kernel.pagetable import U64
from memir.kernel.space import u64
from memir.kernel.xarray import entries

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KIND = "tc actions"
_MOST = 256  # kinds of actions
_MOST_NUMBERS = 1 << 10  # numbers of pernet memory (net/core/net_namespace.c)


def action_programs(kernel: Kernel, net: U64) -> list[tuple[int, int, int]]:
    """(row of the struct net, address of the program, number of the action) of tc's actions of the kind bpf.

    5.10 lets only the module itself know where a namespace has them: there it is a gap. 6.1 and later tell it.
    """
    types, base = kernel.types, kernel.symbols.get("act_base")
    if base is None or not types.has("tc_action_ops", "net_id"):
        kernel.gaps.add(KIND, "act_bpf", "this kernel does not tell where they are")
        return []
    _, node = list_nodes(kernel, u64(base), KIND, _MOST)
    operations = kernel.container(node, "tc_action_ops", "head")
    kinds = kernel.strings(kernel.embedded(operations, "tc_action_ops", "kind"), 16)
    own = operations[[kind == b"bpf" for kind in kinds]][:1]
    if not len(own):
        return []
    number = kernel.read(own, "tc_action_ops", "net_id").astype(np.int64)
    if not 0 < number[0] < _MOST_NUMBERS:
        kernel.gaps.add(KIND, f"{int(own[0]):#x}", "absurd number")
        return []
    place = kernel.pointers(kernel.pointer(net, "net", "gen") + np.uint64(8 * int(number[0])))
    info = kernel.pointer(place, "tc_action_net", "idrinfo")
    actions = entries(kernel, kernel.pointer(info, "tcf_idrinfo", "action_idr.idr_rt.xa_head"), KIND)
    # an action names its table; what only reserves a number is an error's
    sound = kernel.pointer(actions.entry, "tc_action", "idrinfo", gap=False) == info[actions.owner]
    action, owner = actions.entry[sound], actions.owner[sound]
    # struct tcf_bpf begins with the action, behind which lies its program
    program = kernel.pointers(action + np.uint64(-(-types.size("tc_action") // 8) * 8))
    index = kernel.read(action, "tc_action", "tcfa_index").tolist()
    return [
        (row, address, int(which))
        for row, address, which in zip(owner.tolist(), program.tolist(), index, strict=True)
        if address
    ]
