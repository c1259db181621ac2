# SPDX-License-Identifier: Apache-2.0
"""Which class makes which kind of change."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from memir.respond.actions.base import Action, World
from memir.respond.plan import ActionKind, Change

ACTIONS: Mapping[ActionKind, tuple[str, str]] = {
    "kube-fields": ("kube_fields", "KubeFields"),
    "kube-object": ("kube_object", "KubeObject"),
    "kube-room": ("kube_room", "KubeRoom"),
    "acquire": ("acquire", "Acquire"),
}


def action_of(change: Change, world: World) -> Action:
    """The action for a change; its module is imported when it is needed."""
    module, name = ACTIONS[change.kind]
    made: Action = getattr(importlib.import_module(f"memir.respond.actions.{module}"), name)(change, world)
    return made
