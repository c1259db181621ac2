# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API server on loopback: a stand-in, not a real one.

Lists replay objects recorded from a real API server (`load`), with limit and continue, 410, RBAC by verb and
resource, bearer tokens and cut answers. Pods are created, run and removed for real, on this machine:
kube_node.py.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import urllib.parse
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.acquire.rigs.kube_node import Container, Exec

PLURALS = {"NetworkPolicy": "networkpolicies"}


def plural(kind: str) -> str:
    """Resource name of a kind."""
    return PLURALS.get(kind, kind.lower() + "s")


@dataclass
class KubeServer:
    """State of the server; everything may be changed while it runs."""

    tokens: set[str] = field(default_factory=lambda: {"good-token"})
    deny: set[str] = field(default_factory=set)
    """`verb resource`, as "list secrets" or "create pods/exec"."""
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    expire_after_pages: int = 0
    """Answer 410 with a new token once, after this many pages."""
    revoke_after: int = 0
    """Forget every token after this many requests."""
    cut_list: str = ""
    """Close the connection in the middle of this resource's answer."""
    protocols: tuple[str, ...] = ("v5.channel.k8s.io", "v4.channel.k8s.io")
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    """Set reason and message, and new pods never start."""
    admission: str = ""
    """What an admission controller says to a privileged pod; "" lets it in."""
    cut_exec: Any = None
    """Asked for each exec with its command: the bytes of output after which its connection is reset, or
    None."""
    image: Path | None = None
    """Root file system of the containers; None: this machine's."""
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    """Data of the Secrets that were made, by name."""
    recorded: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Pods by `namespace/name` that are answered as they are; nothing runs for them."""
    logs: dict[tuple[str, str, bool], bytes] = field(default_factory=dict)
    """What a container wrote: by `namespace/name`, container, and whether of its run before."""
    requests: list[str] = field(default_factory=list)
    execs: list[Exec] = field(default_factory=list)
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def load(self, objects: Iterable[dict[str, Any]]) -> None:
        """Serve these objects."""
        for one in objects:
            version = one["apiVersion"]
            root = f"/apis/{version}" if "/" in version else f"/api/{version}"
            path = f"{root}/{plural(one['kind'])}"
            self.objects.setdefault(path, []).append(one)

    def kubeconfig(self, path: Path, token: str = "good-token") -> Path:
        """A kubeconfig file for this server."""
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "rig",
            "clusters": [{"name": "rig", "cluster": {"server": self.endpoint}}],
            "users": [{"name": "rig", "user": {"token": token}}],
            "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "rig"}}],
        }))  # fmt: skip
        return path

    def start(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.serve(self)

            do_POST = do_DELETE = do_PATCH = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        for container in self.containers.values():
            container.kill()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    # requests

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        path, _, raw = request.path.partition("?")
        query = urllib.parse.parse_qs(raw)
        body = request.rfile.read(int(request.headers.get("Content-Length", "0") or 0))
        self.requests.append(f"{request.command} {path}")
        if self.revoke_after and len(self.requests) > self.revoke_after:
            self.tokens = set()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            self.fail(request, 401, "Unauthorized", "Unauthorized")
            return
        found = re.fullmatch(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/exec", path)
        if found:
            self.exec(request, found[2], query)
            return
        verb, resource = self.names(request.command, path)
        if f"{verb} {resource}" in self.deny:
            group = path.split("/")[2] if path.startswith("/apis/") else ""
            message = (
                f'{resource} is forbidden: User "responder" cannot {verb} resource "{resource}" '
                f'in API group "{group}" at the cluster scope'
            )
            self.fail(request, 403, "Forbidden", message)
            return
        self.answer(request, path, {key: values[0] for key, values in query.items()}, body)

    @staticmethod
    def names(method: str, path: str) -> tuple[str, str]:
        words = path.strip("/").split("/")
        words = words[2:] if words[0] == "api" else words[3:]
        single = False
        if words[:1] == ["namespaces"] and len(words) > 2:
            words = words[2:]
        single = len(words) > 1
        verb = {"POST": "create", "DELETE": "delete", "PATCH": "patch"}.get(method, "get" if single else "list")
        return verb, words[0] if words else ""

    def answer(self, request: BaseHTTPRequestHandler, path: str, query: dict[str, str], body: bytes) -> None:
        pod = re.fullmatch(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+))?", path)
        log = re.fullmatch(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/log", path)
        if path == "/version":
            self.reply(request, 200, {"gitVersion": "v1.34.1"})
        elif path.endswith("/selfsubjectreviews"):
            self.reply(request, 201, {"kind": "SelfSubjectReview", "status": {"userInfo": {"username": "responder"}}})
        elif path.endswith("/selfsubjectaccessreviews"):
            ask = json.loads(body)["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (ask["resource"], ask.get("subresource"))))
            allowed = f"{ask['verb']} {resource}" not in self.deny
            self.reply(request, 201, {"kind": "SelfSubjectAccessReview", "status": {"allowed": allowed}})
        elif request.command == "POST" and re.fullmatch(r"/api/v1/namespaces/[^/]+/secrets", path):
            made = json.loads(body)
            self.secrets[made["metadata"]["name"]] = made["data"]
            owners = [one["uid"] for one in made["metadata"]["ownerReferences"]]
            assert owners == [one["metadata"]["uid"] for one in self.pods.values()], "a Secret that nobody would remove"
            self.start_ready()
            self.reply(request, 201, made)
        elif pod and request.command == "POST":
            self.create(request, pod[1], query, json.loads(body))
        elif pod and pod[2] and f"{pod[1]}/{pod[2]}" in self.recorded and request.command == "GET":
            self.reply(request, 200, self.recorded[f"{pod[1]}/{pod[2]}"])
        elif log and request.command == "GET":
            self.log(request, f"{log[1]}/{log[2]}", query)
        elif pod and pod[2]:
            self.one_pod(request, pod[2])
        elif re.fullmatch(r"/api/v1/nodes/[^/]+", path):
            name = path.rpartition("/")[2]
            nodes = [one for one in self.objects.get("/api/v1/nodes", []) if one["metadata"]["name"] == name]
            if nodes:
                self.reply(request, 200, nodes[0])
            else:
                self.fail(request, 404, "NotFound", f'nodes "{name}" not found')
        elif named := re.fullmatch(r"/api/v1/namespaces/([^/]+)/configmaps/([^/]+)", path):
            every = self.objects.get("/api/v1/configmaps", [])
            whose = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in every}
            if (named[1], named[2]) in whose:
                self.reply(request, 200, whose[named[1], named[2]])
            else:
                self.fail(request, 404, "NotFound", f'configmaps "{named[2]}" not found')
        elif pod or (path == "/api/v1/pods" and "labelSelector" in query):
            wanted = dict(word.split("=") for word in query.get("labelSelector", "").split(",") if word)
            items = [
                self.state(one) for one in list(self.pods.values())
                if wanted.items() <= one["metadata"].get("labels", {}).items()
            ]  # fmt: skip
            self.reply(request, 200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
        else:
            self.replay(request, path, query)

    def log(self, request: BaseHTTPRequestHandler, name: str, query: dict[str, str]) -> None:
        """A container's log, as the kubelet gives it through the server."""
        container, previous = query.get("container", ""), query.get("previous") == "true"
        if name not in self.recorded:
            self.fail(request, 404, "NotFound", f'pods "{name.rpartition("/")[2]}" not found')
        elif (name, container, previous) not in self.logs:
            what = "previous terminated container" if previous else "container"
            self.fail(request, 400, "BadRequest", f'{what} "{container}" in pod "{name}" not found')
        else:
            data = self.logs[name, container, previous]
            request.send_response(200)
            request.send_header("Content-Type", "text/plain")
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)

    def replay(self, request: BaseHTTPRequestHandler, path: str, query: dict[str, str]) -> None:
        name = path.rpartition("/")[2]
        if name in self.absent:
            self.fail(request, 404, "NotFound", "the server could not find the requested resource")
            return
        wanted = dict(word.split("=") for word in query.get("labelSelector", "").split(",") if word)
        objects = [
            one for one in self.objects.get(path, []) if wanted.items() <= one["metadata"].get("labels", {}).items()
        ]
        if "fieldSelector" in query:
            field_path, _, value = query["fieldSelector"].partition("=")
            first, _, second = field_path.partition(".")
            objects = [one for one in objects if str(one.get(first, {}).get(second)) == value]
        start = int(query.get("continue", "0").removeprefix("again-"))
        limit = int(query.get("limit", "0")) or len(objects)
        if self.expire_after_pages and start and query["continue"].isdigit():
            self.expire_after_pages -= 1
            if self.expire_after_pages == 0:
                more = {"metadata": {"continue": f"again-{start}"}}
                self.fail(request, 410, "Expired", "The provided continue parameter is too old", more)
                return
        page = objects[start : start + limit]
        following = str(start + limit) if start + limit < len(objects) else ""
        if "PartialObjectMetadataList" in request.headers.get("Accept", ""):
            page = [{"metadata": one["metadata"]} for one in page]
        # a real server leaves kind and apiVersion out of a list's items
        items = [{key: value for key, value in one.items() if key not in ("kind", "apiVersion")} for one in page]
        kind = (objects[0]["kind"] if objects else "Thing") + "List"
        self.reply(
            request, 200, {"kind": kind, "metadata": {"continue": following}, "items": items},
            cut=name == self.cut_list,
        )  # fmt: skip

    # pods

    def create(
        self, request: BaseHTTPRequestHandler, namespace: str, query: dict[str, str], pod: dict[str, Any]
    ) -> None:
        secure = pod["spec"]["containers"][0].get("securityContext", {})
        if self.admission and secure.get("privileged"):
            self.fail(request, 403, "Forbidden", self.admission)
            return
        meta = pod["metadata"]
        name = meta.get("name") or meta["generateName"] + uuid.uuid4().hex[:5]
        meta |= {
            "name": name, "namespace": namespace, "uid": str(uuid.uuid4()),
            "creationTimestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        if query.get("dryRun") != "All":
            self.pods[name] = pod
            self.start_ready()
        self.reply(request, 201, pod)

    def start_ready(self) -> None:
        """Start the pods whose Secrets are all there, as the kubelet does."""
        for name, pod in self.pods.items():
            wanted = {v["secret"]["secretName"] for v in pod["spec"].get("volumes", []) if "secret" in v}
            if name not in self.containers and not self.waiting and wanted <= self.secrets.keys():
                self.containers[name] = Container(pod, self.image, self.secrets)

    def state(self, pod: dict[str, Any]) -> dict[str, Any]:
        container = self.containers.get(pod["metadata"]["name"])
        name = pod["spec"]["containers"][0]["name"]
        if container is None:
            status: dict[str, Any] = {"phase": "Pending"}
            if self.waiting:
                status["containerStatuses"] = [{"name": name, "ready": False, "state": {"waiting": self.waiting}}]
        elif container.running:
            status = {
                "phase": "Running",
                "containerStatuses": [{"name": name, "ready": True, "state": {"running": {}}}],
            }
        else:
            status = {"phase": "Failed" if container.late else "Succeeded"}
        return pod | {"status": status}

    def one_pod(self, request: BaseHTTPRequestHandler, name: str) -> None:
        pod = self.pods.get(name)
        if pod is None:
            self.fail(request, 404, "NotFound", f'pods "{name}" not found')
            return
        if request.command == "DELETE":
            container = self.containers.pop(name, None)
            if container is not None:
                container.kill()
            # the garbage collector takes what the pod owned
            self.secrets.clear()
            del self.pods[name]
        self.reply(request, 200, self.state(pod))

    def exec(self, request: BaseHTTPRequestHandler, name: str, query: dict[str, list[str]]) -> None:
        container = self.containers.get(name)
        # a websocket's handshake is a GET: for RBAC it is get, and from 1.35 on create besides
        for verb in ("get", "create"):
            if f"{verb} pods/exec" in self.deny:
                message = f'pods "x" is forbidden: User "responder" cannot {verb} resource "pods/exec"'
                self.fail(request, 403, "Forbidden", message)
                return
        if container is None or not container.running:
            self.fail(request, 404, "NotFound", f'pods "{name}" not found or not running')
            return
        offered = [word.strip() for word in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        chosen = next((one for one in self.protocols if one in offered), "")
        if not chosen:
            self.fail(request, 400, "BadRequest", "no protocol in common")
            return
        cut = self.cut_exec(query["command"]) if self.cut_exec is not None else None
        request.close_connection = True
        running = Exec(container, query["command"], chosen, cut)
        self.execs.append(running)
        running.serve(request.connection, request.headers["Sec-WebSocket-Key"])

    # answers

    def fail(
        self,
        request: BaseHTTPRequestHandler,
        code: int,
        reason: str,
        message: str,
        more: dict[str, Any] | None = None,
    ) -> None:
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
        body |= {"reason": reason, "message": message}
        self.reply(request, code, body | (more or {}))

    @staticmethod
    def reply(request: BaseHTTPRequestHandler, code: int, value: dict[str, Any], cut: bool = False) -> None:
        data = json.dumps(value).encode()
        request.send_response(code)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if cut:
            request.wfile.write(data[: len(data) // 2])
            request.wfile.flush()
            request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True
            return
        request.wfile.write(data)
