# SPDX-License-Identifier: Apache-2.0
"""Scripts in a privileged pod on the node, through the Kubernetes API: no SSH, no SSM, no agent."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from memir.acquire.transports.base import Result, Script, Stream
from memir.acquire.transports.pod import exec as pod_exec
from memir.acquire.transports.pod.check import checks
from memir.acquire.transports.pod.spec import (
    HELPER,
    PodOptions,
    deadline_of,
    ended,
    manifest,
    phase,
    secret,
    selector,
    trouble,
)
from memir.errors import ConnectError, NodeError, RemoteError, UsageError
from memir.evidence.plan import Check, Step, Trace
from memir.kubeapi.client import Api, KubeOptions, call_json, calling, make_api, status_of
from memir.kubeapi.nodes import memory_of

GUARDDUTY = "PrivilegeEscalation:Kubernetes/AnomalousBehavior.WorkloadDeployed!PrivilegedContainer"
GUARDDUTY_MORE = (
    "Execution:Kubernetes/ExecInKubeSystemPod", "Execution:Kubernetes/AnomalousBehavior.ExecInPod",
    "Execution:Runtime/NewBinaryExecuted", "DefenseEvasion:Runtime/FilelessExecution",
)  # fmt: skip
"""What else a run may set off: exec into the pod, a program that is new to the node, one that runs from memory."""
TOUCH = "touch /dev/shm/.memir-keep 2>/dev/null\n"


class PodTransport:
    """One node. The pod is made by the first script and removed by `close`."""

    kind = "pod"
    streams = True

    def __init__(
        self,
        node: str,
        options: PodOptions | None = None,
        kube: KubeOptions | None = None,
        *,
        take_over: bool = False,
        find_helper: Callable[[str], Path] | None = None,
    ) -> None:
        """take_over: use the pod of a run whose controller is gone, if there is one.

        find_helper: gives the helper for a processor (x86_64, aarch64), where options name none.
        """
        self._find_helper = find_helper
        self.node, self.options, self._kube = node, options or PodOptions(), kube or KubeOptions()
        self._run = secrets.token_hex(4)
        self._api: Api = None
        self._pod = ""
        self._take_over = take_over
        self._lock = threading.Lock()
        self._node: dict[str, Any] = {}

    @property
    def api(self) -> Api:
        """The client, made when first needed."""
        if self._api is None:
            self._api = make_api(self._kube)
        return self._api

    @property
    def pods(self) -> str:
        """Path of the namespace's pods."""
        return f"/api/v1/namespaces/{self.options.namespace}/pods"

    def connect(self) -> None:
        """See that the node is there and ready, and that no other run is on it. Makes nothing."""
        self._node = self._call("get nodes", f"node {self.node}", "GET", f"/api/v1/nodes/{self.node}")
        ready = [
            condition.get("status") for condition in (self._node.get("status") or {}).get("conditions") or []
            if condition.get("type") == "Ready"
        ]  # fmt: skip
        if ready and ready[0] != "True":
            raise NodeError(f"node {self.node} is not ready ({ready[0]}): its kubelet starts no pod; use ssh or ssm")
        if self._find_helper is not None:
            info = (self._node.get("status") or {}).get("nodeInfo") or {}
            architecture = str(info.get("architecture", ""))
            machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(architecture, architecture)
            self.options = replace(self.options, helper=self._find_helper(machine))
        if not self.options.deadline:
            self.options = replace(self.options, deadline=deadline_of(memory_of(self._node), self.options.rate))
        running = [pod["metadata"]["name"] for pod in self._mine() if not ended(pod)]
        if self._take_over and running and not self._pod:
            self._pod = running[0]
        if running and self._pod not in running:
            raise NodeError(
                f"another run is going on on node {self.node} (pod {self.options.namespace}/{running[0]}): wait until "
                "it ends, or delete that pod"
            )

    def identity(self) -> Mapping[str, str]:
        """The node as the API knows it, and the server."""
        info = (self._node.get("status") or {}).get("nodeInfo") or {}
        return {
            "node": self.node,
            "uid": str((self._node.get("metadata") or {}).get("uid", "")),
            "provider": str((self._node.get("spec") or {}).get("providerID", "")),
            "kernel": str(info.get("kernelVersion", "")),
            "os": str(info.get("osImage", "")),
            "kubelet": str(info.get("kubeletVersion", "")),
            "server": str(self.api.configuration.host),
            "pod": f"{self.options.namespace}/{self._pod}" if self._pod else "",
        }

    def check(self) -> Sequence[Check]:
        """Each right by verb and resource, admission by a dry run, and whether the image would be pulled."""
        return checks(self._call, self.node, self.options, manifest(self.node, self._run, self.options))

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        """Run a script to its end."""
        return pod_exec.run(self._exec(script, data), timeout, limit)

    def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
        """Start a script and read its output."""
        return self._exec(script, data)

    def put(self, path: str, source: bytes | Path, *, mode: int = 0o600) -> None:
        """Write a file."""
        data = source if isinstance(source, bytes) else source.read_bytes()
        quoted = shlex.quote(path)
        text = f"umask 077; cat > {quoted} && chmod {mode:o} {quoted}"
        result = self.run(Script(text, "put", path, f"{mode:o}", len(data)), data=data, timeout=600)
        if result.code != 0:
            raise ConnectError(f"cannot write {path} in the pod: {result.error.strip() or result.code}")

    def steps(self) -> Sequence[Step]:
        """What using a pod does."""
        return (
            Step(f"read node {self.node}, look for other runs on it", "kubernetes", "get nodes, list pods"),
            Step(
                f"create a privileged pod on {self.node} from {self.options.image} (for a dry run too: nothing "
                "else can look at the kernel)", "kubernetes", "create pods", changes=True,
            ),
            *self._secret_step(),
            Step("run scripts in it", "kubernetes", "get and create pods/exec", changes=True),
            Step("delete the pod", "kubernetes", "delete pods", changes=True),
        )  # fmt: skip

    def _secret_step(self) -> Sequence[Step]:
        if self.options.helper is None and self._find_helper is None:
            return ()
        return (
            Step("create a Secret with the helper, owned by the pod", "kubernetes", "create secrets", changes=True),
        )

    def traces(self) -> Sequence[Trace]:
        """What a pod leaves."""
        return (
            Trace("the API server's audit log", "create, exec and delete of the pod (no script text)"),
            Trace("events of the namespace (1 hour)", "Pulled, Created, Started, Killing"),
            Trace(
                "the node's image store on disk", f"{self.options.image}, unless it is there already",
            ),
            Trace(
                "/var/lib/containerd and /var/lib/cni on the node's disk", "records of the pod's containers, its last "
                "address; its hosts, hostname and resolv.conf and empty mount points, until the pod is gone",
            ),
            Trace("/var/log/pods, kubelet and containerd journals", "start and end of the pod, empty logs"),
            Trace("GuardDuty EKS Protection", f"probably the finding {GUARDDUTY}, caused by this run"),
            Trace("GuardDuty", f"possibly {', '.join(GUARDDUTY_MORE)}, caused by this run"),
        )  # fmt: skip

    def reconnect(self) -> None:
        """Make a new client; the pod stays."""
        self._api = None
        if self._pod:
            self._call("get pods", self._where, "GET", f"{self.pods}/{self._pod}")

    def close(self) -> None:
        """Delete the pod, and ended ones that an earlier run could not delete on this node."""
        names = [self._pod] if self._pod else []
        if self._pod:
            with contextlib.suppress(RemoteError):
                names += [pod["metadata"]["name"] for pod in self._mine() if ended(pod)]
        for name in dict.fromkeys(names):
            self._delete(name)
        self._pod = ""

    # the pod

    @property
    def _where(self) -> str:
        return f"pod {self.options.namespace}/{self._pod} on {self.node}"

    def _call(self, action: str, where: str, method: str, path: str, **more: Any) -> dict[str, Any]:
        with calling(action, where):
            return call_json(self.api, method, path, **more)

    def _mine(self) -> list[dict[str, Any]]:
        query = {"labelSelector": selector(self.node)}
        where = f"namespace {self.options.namespace}"
        items = self._call("list pods", where, "GET", self.pods, query=query).get("items")
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    def _exec(self, script: str, data: bytes) -> pod_exec.PodStream:
        with self._lock:
            if not self._pod:
                self._start()
        # the client swaps a method of its ApiClient while it opens a stream: one client for each
        api, namespace = make_api(self._kube), self.options.namespace
        if self.options.helper is None:
            return pod_exec.start(api, namespace, self._pod, TOUCH + script, data)
        words = script.helper if isinstance(script, Script) else ()
        if not words:
            raise NodeError(
                "this step needs a shell in the pod, and the helper has none: send through the controller "
                "(--via controller), or give --helper none and an --image that has a shell"
            )
        return pod_exec.start_program(api, namespace, self._pod, [HELPER, *words], data)

    def _start(self) -> None:
        made = self._call(
            "create pods", f"namespace {self.options.namespace}", "POST", self.pods,
            body=manifest(self.node, self._run, self.options),
        )  # fmt: skip
        self._pod = str(made["metadata"]["name"])
        try:
            self._send_helper(made)
            self._alone()
            self._wait()
        except BaseException:
            self.close()
            raise

    def _send_helper(self, pod: Mapping[str, Any]) -> None:
        if self.options.helper is None:
            return
        try:
            program = self.options.helper.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read the helper {self.options.helper}: {error.strerror or error}") from error
        path = f"/api/v1/namespaces/{self.options.namespace}/secrets"
        where = f"namespace {self.options.namespace}"
        self._call("create secrets", where, "POST", path, body=secret(self._run, pod, program))

    def _alone(self) -> None:
        """Two runs that started at the same moment see each other here; the one that was made first goes
        on."""
        alive = [pod["metadata"] for pod in self._mine() if not ended(pod)]
        made = {str(meta["name"]): str(meta.get("creationTimestamp", "")) for meta in alive}
        mine = made.pop(self._pod, "")
        # timestamps are whole seconds: on a tie both back out, rather than that both go on
        for name, when in made.items():
            if when <= mine:
                raise NodeError(f"another run has just begun on node {self.node} (pod {name})")

    def _wait(self) -> None:
        end, why = time.monotonic() + self.options.start_seconds, ""
        while time.monotonic() < end:
            pod = self._call("get pods", self._where, "GET", f"{self.pods}/{self._pod}")
            if phase(pod) == "Running":
                return
            why, hopeless = trouble(pod)
            if hopeless:
                raise NodeError(f"{self._where} does not start: {why}")
            time.sleep(0.5)
        raise NodeError(
            f"{self._where} did not start in {self.options.start_seconds:.0f} s ({why or 'no reason is given'}); "
            "it was deleted"
        )

    def _delete(self, name: str) -> None:
        for attempt in range(4):
            try:
                self._call(
                    "delete pods", self._where, "DELETE", f"{self.pods}/{name}", body={"gracePeriodSeconds": 0},
                    timeout=20,
                )  # fmt: skip
            except RemoteError as error:
                if status_of(error) == 404:
                    return
            else:
                return
            time.sleep(0.5 * 2**attempt)
        # its deadline and its own watch end it; the next run on this node deletes what is left of it
