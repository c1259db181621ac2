# SPDX-License-Identifier: Apache-2.0
"""The IAM role of a service account, by the API's view: IAM roles for service accounts, and EKS Pod Identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANNOTATION = "eks.amazonaws.com/role-arn"
ASSOCIATION = "PodIdentityAssociation"
"""Kind under which `memir snapshot --cluster-name` writes an association, named after its service account."""


def role_of_account(objects: Mapping[tuple[str, str, str], Mapping[str, Any]], namespace: str, name: str) -> str | None:
    """ARN of the role that pods of an account get; None where the view names none.

    objects: by (kind, namespace, name). The annotation comes first, as AWS's SDKs look for a web identity's token
    before they ask Pod Identity's agent.
    """
    annotations = _part(_part(objects.get(("ServiceAccount", namespace, name)), "metadata"), "annotations")
    association = _part(objects.get((ASSOCIATION, namespace, name)), "spec")
    for role in (annotations.get(ANNOTATION), association.get("roleArn")):
        if isinstance(role, str) and role:
            return role
    return None


def _part(value: Any, name: str) -> Mapping[str, Any]:
    part = value.get(name) if isinstance(value, Mapping) else None
    return part if isinstance(part, Mapping) else {}
