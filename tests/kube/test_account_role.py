# SPDX-License-Identifier: Apache-2.0
"""The role of a service account by each of the two ways."""

from __future__ import annotations

from typing import Any

from memir.kube.account_role import ANNOTATION, ASSOCIATION, association_role, role_of_account

IRSA, POD_IDENTITY = "arn:aws:iam::1:role/irsa", "arn:aws:iam::1:role/pod-identity"


def test_role_of_account() -> None:
    account: dict[str, Any] = {"metadata": {"annotations": {ANNOTATION: IRSA}}}
    association: dict[str, Any] = {"spec": {"roleArn": POD_IDENTITY}}
    here, there = ("ServiceAccount", "shop", "api"), (ASSOCIATION, "shop", "api")
    assert role_of_account({here: account, there: association}, "shop", "api") == IRSA
    assert role_of_account({here: {"metadata": {}}, there: association}, "shop", "api") == POD_IDENTITY
    assert role_of_account({there: association}, "shop", "other") is None
    assert association_role({here: account, there: association}, "shop", "api") == POD_IDENTITY
    assert association_role({here: account}, "shop", "api") is None
    odd: dict[tuple[str, str, str], Any] = {here: {"metadata": [1]}, there: {"spec": {"roleArn": 7}}}
    assert role_of_account(odd, "shop", "api") is None
