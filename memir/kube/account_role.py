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
    role = annotations.get(ANNOTATION)
    return role if isinstance(role, str) and role else association_role(objects, namespace, name)


def association_role(
    objects: Mapping[tuple[str, str, str], Mapping[str, Any]], namespace: str, name: str
) -> str | None:
    """ARN of the role that EKS Pod Identity gives pods of an account; None where the view has no association of it."""
    role = _part(objects.get((ASSOCIATION, namespace, name)), "spec").get("roleArn")
    return role if isinstance(role, str) and role else None


def _part(value: Any, name: str) -> Mapping[str, Any]:
    part = value.get(name) if isinstance(value, Mapping) else None
    return part if isinstance(part, Mapping) else {}
