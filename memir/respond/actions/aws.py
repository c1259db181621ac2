# SPDX-License-Identifier: Apache-2.0
"""What the changes in AWS share: one request, its errors by the name of the IAM action, the tag of ours."""

from __future__ import annotations

from typing import Any

from memir.aws.errors import calling, cause_code
from memir.errors import RemoteError
from memir.respond.actions.base import Action, World

TAG = "memir-plan"
"""Tag on all that a run makes: its plan's id."""


class AwsAction(Action):
    """A change in AWS."""

    def ask(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One request. operation: as the API names it, as ModifyNetworkInterfaceAttribute."""
        return ask(self.world, service, operation, self.change.target, **parameters)

    def ask_or(self, absent: tuple[str, ...], service: str, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """The same; None where the service answers with one of these codes."""
        try:
            return self.ask(service, operation, **parameters)
        except RemoteError as error:
            if cause_code(error) in absent:
                return None
            raise


def ask(world: World, service: str, operation: str, where: str, **parameters: Any) -> dict[str, Any]:
    """One request to AWS. Raises RemoteError's own kinds, which name the IAM action."""
    with calling(f"{service}:{operation}", where):
        answer: dict[str, Any] = getattr(world.aws(service), snake(operation))(**parameters)
    return answer


def snake(operation: str) -> str:
    """The client's method of an operation: modify_network_interface_attribute."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in operation).lstrip("_")


def tags(kind: str, plan_id: str, **more: str) -> list[dict[str, Any]]:
    """TagSpecifications for something of ours."""
    pairs = {TAG: plan_id, **{key.replace("_", "-"): value for key, value in more.items()}}
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}]
