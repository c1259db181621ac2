# SPDX-License-Identifier: Apache-2.0
"""An API server's rules for the requests that a plan makes, strictly: what is not exactly right is refused.

Reads and lists of what was loaded; a PATCH must be a merge patch that names UID and resourceVersion; a POST must be to
a collection that exists, of a name that is free; a DELETE must name the UID. Served on loopback, or called in-process.
"""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.acquire.rigs.kube import plural

MERGE = "application/merge-patch+json"
MADE = ("networkpolicies", "poddisruptionbudgets")
VOLATILE = ("resourceVersion", "managedFields")


@dataclass
class Answer:
    status: int
    data: bytes
    reason: str = ""


@dataclass
class StrictApi:
    """objects: by path, as they are now. deny: `verb resource`. refused: each request that was not right."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    deny: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    version: int = 1000
    before_patch: Any = None
    """Called with the path before a PATCH is judged: what somebody else writes at that moment."""
    configuration: Any = field(default_factory=lambda: SimpleNamespace(host="", retries=False, auth_settings=dict))
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    @property
    def rest_client(self) -> Any:
        return SimpleNamespace(pool_manager=self)

    def load(self, items: Iterable[Mapping[str, Any]]) -> None:
        for item in items:
            root = f"/apis/{item['apiVersion']}" if "/" in item["apiVersion"] else f"/api/{item['apiVersion']}"
            meta = item["metadata"]
            place = f"/namespaces/{meta['namespace']}" if meta.get("namespace") else ""
            self.put(f"{root}{place}/{plural(item['kind'])}/{meta['name']}", copy.deepcopy(dict(item)))

    def put(self, path: str, item: dict[str, Any]) -> None:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        item["metadata"].setdefault("uid", str(uuid.uuid4()))
        self.objects[path] = item

    def state(self) -> dict[str, Any]:
        """Every object without what changes at each write."""
        kept = copy.deepcopy(self.objects)
        for path, item in kept.items():
            for key in (*VOLATILE, *(("uid",) if path.split("/")[-2] in MADE else ())):
                item["metadata"].pop(key, None)
            for key in ("labels", "annotations"):
                if item["metadata"].get(key) == {}:
                    del item["metadata"][key]
        return kept

    # as urllib3's pool manager

    def request(self, method: str, url: str, *, body: str | None = None, headers: Any = None, **_: Any) -> Answer:
        status, value = self.answer(method, url, body or "", (headers or {}).get("Content-Type", ""))
        return Answer(status, json.dumps(value).encode(), "")

    def answer(self, method: str, url: str, body: str, content_type: str) -> tuple[int, dict[str, Any]]:
        path, _, query = url.partition("?")
        self.requests.append((method, path))
        if path == "/version":
            return 200, {"gitVersion": "v1.34.4"}
        if path.endswith("/selfsubjectreviews"):
            return 201, {"status": {"userInfo": {"username": "responder"}}}
        if path.endswith("/selfsubjectaccessreviews"):
            ask = json.loads(body)["spec"]["resourceAttributes"]
            return 201, {"status": {"allowed": f"{ask['verb']} {ask['resource']}" not in self.deny}}
        if method == "GET":
            return self._get(path)
        if method == "POST":
            return self._post(path, json.loads(body), content_type)
        if path not in self.objects:
            return self._refuse(404, f"{method} {path}: not found")
        if method == "PATCH":
            return self._patch(path, json.loads(body), content_type)
        if method == "DELETE":
            return self._delete(path, json.loads(body or "{}"))
        return self._refuse(405, f"{method} {url} {query}")

    def _refuse(self, status: int, why: str) -> tuple[int, dict[str, Any]]:
        self.refused.append(why)
        return status, {"kind": "Status", "code": status, "message": why}

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        if path in self.objects:
            return 200, self.objects[path]
        words = path.strip("/").split("/")
        start = 2 if words[0] == "api" else 3
        if len(words) == start + 1 or (len(words) == start + 3 and words[start] == "namespaces"):
            root, resource, inside = "/" + "/".join(words[:start]), words[-1], path.rpartition("/")[0]
            if f"list {resource}" in self.deny:
                return self._refuse(403, f"cannot list {resource}")
            items = [
                item
                for each, item in self.objects.items()
                if each.startswith((root + "/", inside)) and each.split("/")[-2] == resource and each.startswith(root)
            ]
            return 200, {"kind": "List", "metadata": {}, "items": items}
        return 404, {"kind": "Status", "code": 404, "message": f"{path} not found"}

    def _post(self, path: str, item: dict[str, Any], content_type: str) -> tuple[int, dict[str, Any]]:
        name, namespace = item["metadata"].get("name"), item["metadata"].get("namespace")
        if content_type != "application/json" or path.rpartition("/")[2] not in MADE or not name:
            return self._refuse(400, f"POST {path} {content_type}")
        if f"/namespaces/{namespace}/" not in path or path.split("/")[2:4] != item["apiVersion"].split("/"):
            return self._refuse(400, f"POST {path}: the object is of {namespace}, {item['apiVersion']}")
        if f"{path}/{name}" in self.objects:
            return self._refuse(409, f"POST {path}: {name} is there already")
        self.put(f"{path}/{name}", item)
        return 201, item

    def _patch(self, path: str, patch: dict[str, Any], content_type: str) -> tuple[int, dict[str, Any]]:
        if self.before_patch is not None:
            self.before_patch(path)
        item = self.objects[path]
        meta = patch.get("metadata", {})
        if content_type != MERGE:
            return self._refuse(415, f"PATCH {path} as {content_type}")
        if "uid" not in meta or "resourceVersion" not in meta:
            return self._refuse(422, f"PATCH {path} without uid or resourceVersion")
        if any(meta[key] != item["metadata"][key] for key in ("uid", "resourceVersion")):
            return 409, {"kind": "Status", "code": 409, "message": "the object has been modified"}
        merged = _merged(item, patch)
        for key in ("labels", "annotations"):
            for name, value in (merged["metadata"].get(key) or {}).items():
                if not isinstance(value, str):
                    return self._refuse(422, f"PATCH {path}: {key} {name} is {value!r}")
        self.put(path, merged)
        return 200, merged

    def _delete(self, path: str, options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        uid = (options.get("preconditions") or {}).get("uid")
        if uid != self.objects[path]["metadata"]["uid"] or path.split("/")[-2] not in MADE:
            return self._refuse(409, f"DELETE {path} with UID {uid}")
        return 200, self.objects.pop(path)

    # on loopback

    def start(self, folder: Path) -> Path:
        """Serve; the kubeconfig's path."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0") or 0)).decode()
                status, value = outer.answer(self.command, self.path, body, self.headers.get("Content-Type", ""))
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        path = folder / "kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "rig",
            "clusters": [{"name": "rig", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "rig", "user": {"token": "good-token"}}],
            "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "rig"}}],
        }))  # fmt: skip
        return path

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _merged(item: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(item) if isinstance(item, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result
