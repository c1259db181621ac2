# SPDX-License-Identifier: Apache-2.0
"""Worlds for tests: clients that are cut at the n-th request, plans without the steps that a test has no part for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from memir.aws.client import Client
from memir.respond.actions.base import World
from memir.respond.journal import Journal
from memir.respond.plan import Plan, Step
from memir.respond.run import Done, execute
from memir.respond.undo import Undone, undo

SHA = "5" * 64


class Killed(BaseException):
    """The process is gone: nothing of memir's catches it."""


class CutApi:
    """An ApiClient whose n-th request kills the caller, before it is sent or after it was done. 0: none."""

    def __init__(self, api: Any, number: int = 0, after: bool = False) -> None:
        self._api, self._number, self._after = api, number, after
        self.configuration = api.configuration
        self.rest_client = self
        self.pool_manager = self
        self.count = 0
        self.sent: list[tuple[str, str]] = []

    def request(self, method: str, url: str, **more: Any) -> Any:
        self.count += 1
        if self.count == self._number and not self._after:
            raise Killed
        self.sent.append((method, url.removeprefix(self.configuration.host)))
        answer = self._api.rest_client.pool_manager.request(method, url, **more)
        if self.count == self._number:
            raise Killed
        return answer


def no_aws(service: str) -> Client:
    raise AssertionError(f"asked {service}")


def no_command(words: Sequence[str]) -> int:
    raise AssertionError(f"ran {words}")


def world(
    plan: Plan, api: Any, aws: Callable[[str], Client] = no_aws, run: Callable[[Sequence[str]], int] = no_command
) -> World:
    return World(plan.id, lambda: api, aws, run, lambda: "2026-11-29T10:00:00+00:00")


AWS = ("hold-instance", "snapshot-volumes", "isolate-node", "revoke-profile", "revoke-role")


def without(plan: Plan, *kinds: str) -> Plan:
    """Without steps of these kinds, and without those in AWS."""
    return _kept(plan, lambda step: step.kind not in kinds)


def only(plan: Plan, *kinds: str) -> Plan:
    """Steps of these kinds alone, and none in AWS."""
    return _kept(plan, lambda step: step.kind in kinds)


def _kept(plan: Plan, test: Callable[[Step], bool]) -> Plan:
    steps = tuple(step for step in plan.steps if test(step) and not step.id.startswith(AWS))
    return dataclasses.replace(plan, steps=steps)


def yes(step: Step) -> Any:
    return "run"


def run(plan: Plan, folder: Path, place: World, *, resume: bool = False) -> list[Done]:
    journal = (
        Journal.resume(folder, SHA, ["test"])
        if resume and folder.exists()
        else Journal.start(folder, plan.id, SHA, ["test"])
    )
    try:
        return execute(plan, journal, place, yes, lambda done: None)
    finally:
        journal.close()


def take_back(plan: Plan, folder: Path, place: World) -> list[Undone]:
    journal = Journal.resume(folder, SHA, ["test"])
    try:
        return undo(plan, journal, place, lambda outcome: None)
    finally:
        journal.close()
