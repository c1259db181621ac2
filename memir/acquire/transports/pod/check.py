# SPDX-License-Identifier: Apache-2.0
"""What is asked of the API server before a pod is made: rights, admission, the image. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from memir.acquire.transports.pod.spec import PodOptions
from memir.errors import ConnectError, RemoteError
from memir.evidence.plan import Check, Level
from memir.kubeapi.client import reason_of, status_of

RIGHTS = (
    ("get", "nodes", ""),
    ("list", "pods", ""),
    ("create", "pods", ""),
    ("get", "pods", ""),
    ("delete", "pods", ""),
    ("get", "pods", "exec"),
    ("create", "pods", "exec"),
)
"""What a run needs. An exec's handshake is a GET, which API servers up to 1.34 authorize as get alone (seen on 1.34;
kubernetes-client/python#2084), and later ones as create besides."""
SECRET_RIGHT = ("create", "secrets", "")
"""Beside RIGHTS, where the helper is used: it reaches the node in a Secret, which goes with its owner, the pod."""


class Call(Protocol):
    """One request to the API server: what it is for, where, method and path. Raises RemoteError."""

    def __call__(self, action: str, where: str, method: str, path: str, **more: Any) -> dict[str, Any]:
        """The answer's document."""
        ...


def checks(call: Call, node: str, options: PodOptions, pod: Mapping[str, Any]) -> Sequence[Check]:
    """Each right by verb and resource, admission of `pod` by a dry run, and whether the image would be pulled."""
    rights = RIGHTS if options.helper is None else (*RIGHTS, SECRET_RIGHT)
    return [
        *(_right(call, options.namespace, *right) for right in rights),
        _admission(call, options.namespace, pod),
        _image(call, node, options.image),
    ]


def _right(call: Call, namespace: str, verb: str, resource: str, sub: str) -> Check:
    name = f"{verb} {resource}{'/' + sub if sub else ''}"
    attributes = {"verb": verb, "resource": resource, "subresource": sub}
    if resource != "nodes":
        attributes["namespace"] = namespace
    body = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }  # fmt: skip
    action, path = "create selfsubjectaccessreviews", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    try:
        answer = call(action, "the API server", "POST", path, body=body)
    except RemoteError as error:
        level: Level = "fail" if status_of(error) == 401 else "warn"
        return Check(name, level, str(error), "it will show when it is used")
    if (answer.get("status") or {}).get("allowed") is True:
        return Check(name, "ok", "allowed")
    return Check(
        name,
        "fail",
        f"{name} is not allowed in {namespace}",
        f"bind a role that allows {name}",
    )


def _admission(call: Call, namespace: str, pod: Mapping[str, Any]) -> Check:
    where = f"namespace {namespace}"
    try:
        call("create pods", where, "POST", f"/api/v1/namespaces/{namespace}/pods", query={"dryRun": "All"}, body=pod)
    except ConnectError as error:
        return Check("admission of a privileged pod", "warn", str(error), "try again")
    except RemoteError as error:
        advice = "use a namespace whose Pod Security level is privileged, or except this pod from the policy"
        return Check("admission of a privileged pod", "fail", reason_of(error), advice)
    return Check("admission of a privileged pod", "ok", "a dry run was accepted")


def _image(call: Call, name: str, image: str) -> Check:
    try:
        node = call("get nodes", f"node {name}", "GET", f"/api/v1/nodes/{name}")
    except RemoteError as error:
        return Check("image", "warn", str(error), "")
    images = (node.get("status") or {}).get("images") or []
    there = {name for entry in images for name in entry.get("names") or []}
    if image in there:
        return Check("image", "ok", f"{image} is on the node")
    advice = "an image from the node's own list leaves no layers on its disk (kubectl get node -o yaml)"
    return Check("image", "warn", f"{image} is not on the node and is written to its disk", advice)
