# SPDX-License-Identifier: Apache-2.0
"""Options of every way of collecting: what must be given, and what is taken where nothing is."""

from __future__ import annotations

import dataclasses

import pytest

from memir.acquire.transports.pod.options import IMAGE
from memir.collect.settings import Collecting, InCluster, Settings


def test_what_must_be_given_and_what_is_taken_else() -> None:
    settings = Settings("shop/web", "ev")
    assert (settings.name, settings.output, settings.transport, settings.memory) == ("shop/web", "ev", "pod", True)
    assert (settings.image, settings.namespace, settings.kubeconfig) == (IMAGE, "default", None)
    with pytest.raises(TypeError, match="output"):
        Settings("shop/web")


def test_each_field_has_words_and_every_way_has_the_shared_ones() -> None:
    shared = [field.name for field in dataclasses.fields(Collecting)]
    for options in (Collecting, InCluster, Settings):
        fields = dataclasses.fields(options)
        assert [field.name for field in fields][: len(shared)] == shared
        assert [field.name for field in fields if not field.metadata["help"].endswith((".", "first."))] == []
