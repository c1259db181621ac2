# SPDX-License-Identifier: Apache-2.0
"""An access entry: removed, made again with all that it had, cut between its policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.documents import encode
from memir.errors import RemoteError, StateError
from memir.respond.actions import eks_access_entry
from memir.respond.actions.eks_access_entry import ABSENT, EksAccessEntry, entry_state
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import POLICY
from tests.respond.eks_rig import EksRig
from tests.respond.worlds import world

OTHER = "arn:aws:iam::123456789012:role/a"


@pytest.fixture
def eks() -> EksRig:
    made = EksRig()
    made.create_access_entry(clusterName="prod", principalArn=OTHER)
    made.create_access_entry(
        clusterName="prod", principalArn=shop.ROLE, kubernetesGroups=["b", "a"], tags={"k": "v"}, username="ci:{{x}}"
    )
    for name, scope in (("View", {"type": "cluster"}), ("Edit", {"type": "namespace", "namespaces": ["x", "b"]})):
        made.associate_access_policy(
            clusterName="prod", principalArn=shop.ROLE, policyArn=POLICY.format(name), accessScope=scope
        )
    return made


def test_removed_and_made_again(eks: EksRig, tmp_path: Path) -> None:
    place = world(shop.plan(tmp_path), None, lambda service: eks)
    before = entry_state(place, "prod", shop.ROLE)  # on the second page
    assert before == {
        "type": "STANDARD", "username": "ci:{{x}}", "groups": ["a", "b"], "tags": [{"key": "k", "value": "v"}],
        "policies": [
            {"policy": POLICY.format("Edit"), "scope": "namespace", "namespaces": "b,x"},
            {"policy": POLICY.format("View"), "scope": "cluster", "namespaces": ""},
        ],
    }  # fmt: skip
    change = Change("a", "eks-access-entry", shop.ROLE, (), before=before, after=ABSENT, needs={"cluster": "prod"})
    action = EksAccessEntry(change, place)
    assert action.unexpected(action.read()) == ""
    action.apply(before, action.goal(before))
    assert (action.read(), list(eks.entries)) == (ABSENT, [OTHER])
    assert not action.between(ABSENT, before, ABSENT)
    action.restore(ABSENT, {**before, "policies": before["policies"][:1]})  # an undo that was cut
    cut = action.read()
    assert action.between(cut, before, ABSENT) and cut != before
    action.restore(cut, before)
    assert encode(action.read()) == before
    assert eks.entries[shop.ROLE]["username"] == "ci:{{x}}"


def test_a_name_that_eks_gives_is_left_to_it(eks: EksRig, tmp_path: Path) -> None:
    """EKS refuses names with some beginnings, and makes this one itself."""
    place = world(shop.plan(tmp_path), None, lambda service: eks)
    before = entry_state(place, "prod", OTHER)
    action = EksAccessEntry(Change("a", "eks-access-entry", OTHER, (), needs={"cluster": "prod"}), place)
    action.apply(before, ABSENT)
    asked: list[dict[str, object]] = []
    eks._before = lambda operation, more: asked.append(more)
    action.restore(ABSENT, before)
    assert [set(more) for more in asked] == [{"clusterName", "principalArn", "type", "kubernetesGroups", "tags"}]
    assert action.read() == before


def test_what_is_not_there(eks: EksRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = world(shop.plan(tmp_path), None, lambda service: eks)
    assert entry_state(place, "prod", "arn:aws:iam::123456789012:role/none") == ABSENT
    with pytest.raises(RemoteError, match="No cluster found for name: other"):
        entry_state(place, "other", shop.ROLE)
    monkeypatch.setattr(eks_access_entry, "PAGES", 1)
    with pytest.raises(StateError, match="cluster prod: ListAccessEntries has more than 1 pages"):
        entry_state(place, "prod", "arn:aws:iam::123456789012:role/none")
    eks.config_map = True
    assert entry_state(place, "prod", shop.ROLE) == ABSENT
