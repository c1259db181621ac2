# SPDX-License-Identifier: Apache-2.0
"""Scripts in a pod: in an ephemeral container of ours beside one of its own, or (an exec) in one of its own."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from memir.acquire.transports.base import Result, Stream
from memir.acquire.transports.pod import exec as pod_exec
from memir.collect.fargate.container import User, ephemeral, name_of, running, signal_script, state_of
from memir.errors import ConnectError, NodeError, RemoteError, UsageError
from memir.evidence.plan import Check, Level, Step, Trace
from memir.kubeapi.client import Api, KubeOptions, call_json, calling, make_api, reason_of, status_of
from memir.kubeapi.pod import read_pod

Way = Literal["ephemeral", "exec"]
PATCH = "application/strategic-merge-patch+json"
RIGHTS = {
    "ephemeral": (("get", ""), ("patch", "ephemeralcontainers"), ("get", "exec"), ("create", "exec")),
    "exec": (("get", ""), ("get", "exec"), ("create", "exec")),
}  # fmt: skip
"""Verb and subresource of pods, in the pod's namespace."""
PERMANENT = (
    "an ephemeral container cannot be taken back: it stays in the pod's specification until the pod is gone, and ends "
    "by itself 15 minutes after the run"
)


class ContainerTransport:
    """One container of one pod. accepted: whether an ephemeral container may be made; the first script makes it."""

    streams = True

    def __init__(
        self, namespace: str, pod: str, container: str, way: Way, kube: KubeOptions | None = None, *, image: str = "",
        user: User = (None, None), accepted: bool = False, start_seconds: float = 300.0,
    ) -> None:  # fmt: skip
        self.kind: str = way
        self.namespace, self.pod, self.container, self.image = namespace, pod, container, image
        self.user, self.accepted, self._start_seconds = user, accepted, start_seconds
        self._kube = kube or KubeOptions()
        self._run = secrets.token_hex(4)
        self._api: Api = None
        self._uid = ""
        self._made = False
        self._lock = threading.Lock()
        self._status: Mapping[str, Any] = {}

    @property
    def api(self) -> Api:
        """The client, made when first needed."""
        if self._api is None:
            self._api = make_api(self._kube)
        return self._api

    @property
    def name(self) -> str:
        """The container that scripts run in."""
        return name_of(self._run) if self.kind == "ephemeral" else self.container

    def connect(self) -> None:
        """See that the pod is there and its container runs. Makes nothing. Raises NodeError, AccessError."""
        document = self._read()
        _, self._status = running(document, self.container)
        uid = str((document.get("metadata") or {}).get("uid", ""))
        if self._uid and uid != self._uid:
            raise NodeError(f"{self._where} is another pod now (its UID is {uid}, it was {self._uid})")
        self._uid = uid

    def identity(self) -> Mapping[str, str]:
        """The container that is looked at, and the one that looks."""
        return {
            "pod": f"{self.namespace}/{self.pod}", "uid": self._uid, "container": self.container,
            "container_id": str(self._status.get("containerID", "")), "way": self.kind, "in": self.name,
            "image": self.image if self.kind == "ephemeral" else "", "server": str(self.api.configuration.host),
        }  # fmt: skip

    def check(self) -> Sequence[Check]:
        """Each right by verb and resource, and admission of the container by a dry run."""
        checks = [self._right(*right) for right in RIGHTS[self.kind]]
        if self.kind == "ephemeral" and not self._made:
            try:
                self._patch({"dryRun": "All"})
            except RemoteError as error:
                advice = "a user that the policy lets in (--user UID), or --way exec"
                checks.append(Check("admission of an ephemeral container", "fail", reason_of(error), advice))
            else:
                checks.append(Check("admission of an ephemeral container", "ok", "a dry run was accepted"))
        return checks

    def _right(self, verb: str, sub: str) -> Check:
        name = f"{verb} pods{'/' + sub if sub else ''}"
        attributes = {"verb": verb, "resource": "pods", "subresource": sub, "namespace": self.namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }  # fmt: skip
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        try:
            answer = self._call("create selfsubjectaccessreviews", "POST", path, body=body)
        except RemoteError as error:
            level: Level = "fail" if status_of(error) == 401 else "warn"
            return Check(name, level, str(error), "it will show when it is used")
        if (answer.get("status") or {}).get("allowed") is True:
            return Check(name, "ok", "allowed")
        return Check(name, "fail", f"{name} is not allowed in {self.namespace}", f"bind a role that allows {name}")

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        """Run a script to its end."""
        return pod_exec.run(self._exec(script, data), timeout, limit)

    def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
        """Start a script and read its output."""
        return self._exec(script, data)

    def put(self, path: str, source: bytes | Path, *, mode: int = 0o600) -> None:
        """Nothing is written in a pod that is looked at. Raises NodeError."""
        del source, mode
        raise NodeError(f"{path}: nothing is written in {self._where}")

    def steps(self) -> Sequence[Step]:
        """What connecting does."""
        where = f"container {self.container} of pod {self.namespace}/{self.pod}"
        if self.kind == "exec":
            return (
                Step(f"run a shell in {where}, with its own programs: it shows in its process list", "kubernetes",
                     "get and create pods/exec", changes=True),
            )  # fmt: skip
        return (
            Step(f"ADD AN EPHEMERAL CONTAINER {self.name} from {self.image} beside {where} ({self._as()}). CANNOT BE "
                 "TAKEN BACK: it stays in the pod's specification until the pod is gone", "kubernetes",
                 "patch pods/ephemeralcontainers", changes=True),
            Step("run scripts in it", "kubernetes", "get and create pods/exec", changes=True),
            Step("end its process", "kubernetes", "create pods/exec", changes=True),
        )  # fmt: skip

    def _as(self) -> str:
        user, group = self.user
        if user is None:
            return "as its image's user, without SYS_PTRACE"
        return f"as user {user}" + (f", group {group}" if group is not None else "") + ", without SYS_PTRACE"

    def traces(self) -> Sequence[Trace]:
        """What it leaves."""
        execs = "Execution:Kubernetes/AnomalousBehavior.ExecInPod"
        traces = [
            Trace("the API server's audit log", "exec in the pod (no script text)"),
            Trace("GuardDuty EKS Protection", f"possibly the finding {execs}, caused by this run"),
        ]
        if self.kind == "exec":
            shell = Trace("the container's process list", "a shell and Python, while the run lasts", stays=False)
            return (*traces, shell)
        return (
            Trace("the pod's specification and status", f"the ephemeral container {self.name}, until the pod is gone"),
            Trace("the API server's audit log", "patch of pods/ephemeralcontainers"),
            Trace("events of the namespace (1 hour)", "Pulling, Pulled, Created, Started"),
            Trace("the pod's disk, outside of its containers", f"the layers of {self.image}"),
            *traces,
        )  # fmt: skip

    def reconnect(self) -> None:
        """Make a new client; the container stays."""
        self._api = None
        self.connect()

    def close(self) -> None:
        """End the ephemeral container's process; the container stays in the specification."""
        if self._made:
            with contextlib.suppress(RemoteError):
                pod_exec.run(self._start(signal_script(self._run, "TERM"), b""), 30, 1 << 12)
            self._made = False

    # the container

    @property
    def _where(self) -> str:
        return f"pod {self.namespace}/{self.pod}"

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}"

    def _call(self, action: str, method: str, path: str, **more: Any) -> dict[str, Any]:
        with calling(action, self._where):
            return call_json(self.api, method, path, **more)

    def _read(self) -> dict[str, Any]:
        return read_pod(self.api, self.namespace, self.pod)

    def _patch(self, query: Mapping[str, str]) -> None:
        made = ephemeral(self._run, self.container, self.image, self.user)
        body = {"metadata": {"uid": self._uid}, "spec": {"ephemeralContainers": [made]}}  # of this pod and no other
        self._call("patch pods/ephemeralcontainers", "PATCH", f"{self._path}/ephemeralcontainers", query=query,
                   body=body, content_type=PATCH)  # fmt: skip

    def _exec(self, script: str, data: bytes) -> pod_exec.PodStream:
        if self.kind == "ephemeral":
            with self._lock:
                if not self._made:
                    self._make()
            script = signal_script(self._run, "USR1") + script
        return self._start(script, data)

    def _start(self, script: str, data: bytes) -> pod_exec.PodStream:
        # the client swaps a method of its ApiClient while it opens a stream: one client for each
        return pod_exec.start(make_api(self._kube), self.namespace, self.pod, script, data, self.name)

    def _make(self) -> None:
        if not self.accepted:
            raise UsageError(f"{PERMANENT}: read the plan (--dry-run), then --accept-ephemeral; or --way exec")
        self._patch({})
        self._made = True
        end, why = time.monotonic() + self._start_seconds, ""
        while time.monotonic() < end:
            runs, why, hopeless = state_of(self._read(), self.name)
            if runs:
                return
            if hopeless:
                break
            time.sleep(0.5)
        self._made = False
        raise ConnectError(
            f"{self._where}: the ephemeral container {self.name} does not run ({why or 'no reason is given'}); it "
            "stays in the pod's specification. --image names another image, --way exec needs none"
        )
