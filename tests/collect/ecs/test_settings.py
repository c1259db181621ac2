# SPDX-License-Identifier: Apache-2.0
"""Options of a collection from within a task of ECS."""

from __future__ import annotations

import pytest

from memir.collect.ecs.settings import EcsSettings


def test_a_cluster_and_a_task_must_be_named() -> None:
    settings = EcsSettings("shop", "ev", task="0123")
    assert (settings.name, settings.task, settings.container, settings.accept_log) == ("shop", "0123", "", False)
    assert not hasattr(settings, "kubeconfig")  # no API server of Kubernetes is there
    with pytest.raises(TypeError, match="task"):
        EcsSettings("shop", "ev")
