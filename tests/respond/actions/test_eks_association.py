# SPDX-License-Identifier: Apache-2.0
"""Pod Identity's association: removed, made again with all that it had."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import StateError
from memir.respond.actions.eks_association import EksAssociation
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.eks_rig import EksRig
from tests.respond.worlds import world


def test_removed_and_made_again(tmp_path: Path) -> None:
    eks = EksRig()
    row = {"clusterName": "prod", "namespace": "shop", "serviceAccount": "default", "roleArn": shop.ROLE}
    eks.create_pod_identity_association(**row, tags={"team": "x"}, targetRoleArn="arn:target")
    change = Change("a", "eks-association", "shop/default", (), before={"role": shop.ROLE}, needs={"cluster": "prod"})
    action = EksAssociation(change, world(shop.plan(tmp_path), None, lambda service: eks))
    before = action.read()
    assert (before["role"], action.unexpected(before)) == (shop.ROLE, "")
    action.apply(before, {"role": None})
    assert (action.read(), eks.associations) == ({"role": None}, {})
    with pytest.raises(StateError, match="the Pod Identity association of shop/default is gone"):
        action.apply(before, {"role": None})
    action.restore({"role": None}, before)
    assert action.same(action.read(), before)
    assert eks.associations == {
        "a-2": row | {"tags": {"team": "x"}, "targetRoleArn": "arn:target", "associationId": "a-2"}
    }  # fmt: skip
