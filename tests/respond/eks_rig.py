# SPDX-License-Identifier: Apache-2.0
"""EKS's Pod Identity associations and access entries, which moto lacks: in-process, strict.

Each request must be one of the service's model (botocore), and be for what is there; what it lacks is a ClientError.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import validate_parameters

CLUSTER = "prod"


@functools.cache
def model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("eks", "service-2"), "eks")


def refuse(code: str, message: str, operation: str = "") -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 404}}
    return ClientError(answer, operation)


class EksRig:
    """before and after: called with (operation, parameters) of each request."""

    def __init__(self, before: Callable[..., None] | None = None, after: Callable[..., None] | None = None) -> None:
        self.associations: dict[str, dict[str, Any]] = {}
        self.entries: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, list[dict[str, Any]]] = {}
        self.number, self.page = 0, 1
        self.config_map = False
        self._before, self._after = before, after

    def __getattr__(self, name: str) -> Any:
        operation = "".join(word.capitalize() for word in name.split("_"))
        if operation not in model().operation_names:
            raise AttributeError(name)

        def request(**asked: Any) -> dict[str, Any]:
            shape = model().operation_model(operation).input_shape
            assert shape is not None
            validate_parameters(asked, shape)
            if self._before:
                self._before(operation, asked)
            if asked["clusterName"] != CLUSTER:
                raise refuse("ResourceNotFoundException", f"No cluster found for name: {asked['clusterName']}.")
            if self.config_map and "Access" in operation:
                raise refuse("InvalidRequestException", "The cluster's authentication mode must be set to one of [API]")
            answer: dict[str, Any] = getattr(self, f"_{name}")(**asked)
            if self._after:
                self._after(operation, asked)
            return answer

        return request

    def _create_pod_identity_association(self, **more: Any) -> dict[str, Any]:
        pair = (more["namespace"], more["serviceAccount"])
        assert pair not in {(item["namespace"], item["serviceAccount"]) for item in self.associations.values()}
        self.number += 1
        ident = f"a-{self.number}"
        self.associations[ident] = more | {"associationId": ident}
        return {"association": self.associations[ident]}

    def _list_pod_identity_associations(self, nextToken: str = "0", **asked: Any) -> dict[str, Any]:  # noqa: N803
        rows = [ident for ident, item in self.associations.items() if asked.items() <= item.items()]
        rest, token = rows[int(nextToken) :], int(nextToken) + self.page
        more = {"nextToken": str(token)} if len(rest) > self.page else {}
        return {"associations": [{"associationId": ident} for ident in rest[: self.page]], **more}

    def _describe_pod_identity_association(self, *, associationId: str, **_: str) -> dict[str, Any]:  # noqa: N803
        return {"association": self.associations[associationId]}

    def _delete_pod_identity_association(self, *, associationId: str, **_: str) -> dict[str, Any]:  # noqa: N803
        return {"association": self.associations.pop(associationId)}

    def _list_access_entries(self, nextToken: str = "0", **_: Any) -> dict[str, Any]:  # noqa: N803
        names, start = sorted(self.entries), int(nextToken)
        more = {"nextToken": str(start + self.page)} if len(names) > start + self.page else {}
        return {"accessEntries": names[start : start + self.page], **more}

    def _entry(self, arn: str) -> dict[str, Any]:
        if arn not in self.entries:
            raise refuse("ResourceNotFoundException", "The specified principalArn could not be found.")
        return self.entries[arn]

    def _describe_access_entry(self, *, principalArn: str, **_: str) -> dict[str, Any]:  # noqa: N803
        return {"accessEntry": self._entry(principalArn)}

    def _list_associated_access_policies(self, *, principalArn: str, **_: str) -> dict[str, Any]:  # noqa: N803
        self._entry(principalArn)
        return {"associatedAccessPolicies": list(self.policies[principalArn])}

    def _create_access_entry(self, *, principalArn: str, **more: Any) -> dict[str, Any]:  # noqa: N803
        if principalArn in self.entries:
            raise refuse("ResourceInUseException", "The specified access entry resource is already in use")
        role = principalArn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")
        name = {"username": f"{role}/{{{{SessionName}}}}", "kubernetesGroups": [], "type": "STANDARD", "tags": {}}
        self.entries[principalArn], self.policies[principalArn] = name | more, []
        return {"accessEntry": self.entries[principalArn]}

    def _delete_access_entry(self, *, principalArn: str, **_: str) -> dict[str, Any]:  # noqa: N803
        self._entry(principalArn)
        del self.entries[principalArn], self.policies[principalArn]
        return {}

    def _associate_access_policy(self, *, principalArn: str, clusterName: str, **more: Any) -> dict[str, Any]:  # noqa: N803
        self._entry(principalArn)
        assert (more["accessScope"]["type"] == "namespace") == bool(more["accessScope"].get("namespaces"))
        self.policies[principalArn].append(more)
        return {"clusterName": clusterName, "principalArn": principalArn, "associatedAccessPolicy": more}
