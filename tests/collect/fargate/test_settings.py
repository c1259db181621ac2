# SPDX-License-Identifier: Apache-2.0
"""Options of a collection from within a pod."""

from __future__ import annotations

import dataclasses

from memir.acquire.transports.pod.options import IMAGE
from memir.collect.fargate.settings import FargateSettings
from memir.collect.settings import Settings


def test_of_its_own_and_none_of_a_node() -> None:
    settings = FargateSettings("shop/web", "ev", container="web")
    assert (settings.container, settings.way, settings.image, settings.accept_ephemeral) == (
        "web", "ephemeral", IMAGE, False,
    )  # fmt: skip
    of_a_node = {"transport", "host", "sudo", "root", "instance_id", "uid", "checkpoint"}
    assert of_a_node <= {field.name for field in dataclasses.fields(Settings)}
    assert not of_a_node & {field.name for field in dataclasses.fields(FargateSettings)}
