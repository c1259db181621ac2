# SPDX-License-Identifier: Apache-2.0
"""`memir collect ecs CLUSTER TASK -o DIR`: a task of ECS from within, by ECS Exec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memir.cli.collect_print import go

if TYPE_CHECKING:
    from memir.collect.ecs.settings import EcsSettings


def ecs(settings: EcsSettings, *, as_json: bool) -> None:
    """A task of ECS from within."""
    from memir.collect.ecs.launch import prepare

    go(settings, prepare, as_json=as_json)
