# SPDX-License-Identifier: Apache-2.0
"""An IAM principal's entry to the cluster's API (EKS access entries): removed, made again with its policies.

https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memir.aws.errors import cause_code
from memir.errors import RemoteError, StateError
from memir.respond.actions.aws import AwsAction, ask
from memir.respond.actions.base import State, World

ABSENT: State = {"type": None}
NO_ENTRIES = "InvalidRequestException"
"""The cluster's authentication mode is CONFIG_MAP: it has no entries, and ConfigMap aws-auth says who may."""
PAGES = 100


def entry_state(world: World, cluster: str, principal: str) -> State:
    """type, username, groups, policies, tags of a principal's entry; type None if there is none.

    Listed first: DescribeAccessEntry says the same of an entry and of a cluster that are not there.
    """
    try:
        listed = any(
            principal in page["accessEntries"]
            for page in _pages(world, "ListAccessEntries", f"cluster {cluster}", clusterName=cluster)
        )
    except RemoteError as error:
        if cause_code(error) != NO_ENTRIES:
            raise
        listed = False
    if not listed:
        return ABSENT
    names = {"clusterName": cluster, "principalArn": principal}
    entry: dict[str, Any] = ask(world, "eks", "DescribeAccessEntry", principal, **names)["accessEntry"]
    policies = [
        {
            "policy": item["policyArn"], "scope": item["accessScope"]["type"],
            "namespaces": ",".join(sorted(item["accessScope"].get("namespaces") or [])),
        }
        for page in _pages(world, "ListAssociatedAccessPolicies", principal, **names)
        for item in page["associatedAccessPolicies"]
    ]  # fmt: skip
    return {
        "type": str(entry["type"]), "username": str(entry.get("username") or ""),
        "groups": sorted(entry.get("kubernetesGroups") or []),
        "policies": sorted(policies, key=lambda item: str(item["policy"])),
        "tags": [{"key": key, "value": value} for key, value in sorted((entry.get("tags") or {}).items())],
    }  # fmt: skip


def _pages(world: World, operation: str, where: str, **asked: Any) -> Iterator[dict[str, Any]]:
    token: str | None = None
    for _ in range(PAGES):
        page = ask(world, "eks", operation, where, **asked, **({"nextToken": token} if token else {}))
        yield page
        token = page.get("nextToken")
        if not token:
            return
    raise StateError(f"{where}: {operation} has more than {PAGES} pages")


class EksAccessEntry(AwsAction):
    """target: the principal's ARN. before: its entry, as entry_state has it. needs: cluster."""

    def read(self) -> State:
        """The entry."""
        return entry_state(self.world, self.change.needs["cluster"], self.change.target)

    def between(self, state: State, before: State, goal: State) -> bool:
        """Made again by an undo that was cut: some of its policies are not associated yet."""
        del goal
        if state["type"] is None or before["type"] is None:
            return False
        rest = {key: value for key, value in before.items() if key != "policies"}
        return all(state[key] == value for key, value in rest.items()) and all(
            policy in before["policies"] for policy in state["policies"]
        )

    def apply(self, state: State, goal: State) -> None:
        """Deleted, its associations with it."""
        del state, goal
        self.ask("eks", "DeleteAccessEntry", **self._names())

    def restore(self, state: State, goal: State) -> None:
        """Made again, then each policy associated that is not."""
        if state["type"] is None:
            default = f"assumed-role/{self.change.target.rpartition('/')[2]}/{{{{SessionName}}}}"
            named = {"username": goal["username"]} if not goal["username"].endswith(default) else {}
            self.ask(
                "eks", "CreateAccessEntry", **self._names(), type=goal["type"], kubernetesGroups=list(goal["groups"]),
                tags={tag["key"]: tag["value"] for tag in goal["tags"]}, **named,
            )  # fmt: skip
        there = state.get("policies") or []
        for policy in goal["policies"]:
            if policy not in there:
                scope = {"type": policy["scope"]}
                names = {"namespaces": policy["namespaces"].split(",")} if policy["namespaces"] else {}
                self.ask(
                    "eks", "AssociateAccessPolicy", **self._names(), policyArn=policy["policy"],
                    accessScope=scope | names,
                )  # fmt: skip

    def _names(self) -> dict[str, str]:
        return {"clusterName": self.change.needs["cluster"], "principalArn": self.change.target}
