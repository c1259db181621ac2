# SPDX-License-Identifier: Apache-2.0
"""ECS as a strict service on this machine: its JSON API, and the agent's side of a Session Manager data channel.

Every command really runs, behind a real pseudo-terminal (echo on, as the agent's), in a container under a task's
limits: no SYS_PTRACE unless a test gives it. A wrong message is refused and kept in `wrong`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.acquire.rigs.kube_node import GUID
from tests.collect.ecs.agent import Session
from tests.collect.fargate.rig import LIMITED, USER, FargateRig

TASK = "0123456789abcdef0123456789abcdef"
ARN = "arn:aws:ecs:eu-west-1:111122223333"


class EcsServer:
    """start() and stop(). task, definition, cluster: as the API gives them; a test changes them."""

    def __init__(self, pod: FargateRig) -> None:
        self.pod = pod
        self.user = USER
        self.limits: tuple[str, ...] = LIMITED
        self.drop_acks = 0
        self.swap = self.repeat = self.encrypt = self.corrupt = False
        self.deny: set[str] = set()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.sessions: dict[str, Session] = {}
        self.wrong: list[str] = []
        container = {"name": "web", "runtimeId": pod.container, "lastStatus": "RUNNING", "image": "shop/web:1",
                     "imageDigest": "sha256:" + "ab" * 32,
                     "managedAgents": [{"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}]}  # fmt: skip
        self.task: dict[str, Any] = {
            "taskArn": f"{ARN}:task/shop/{TASK}", "clusterArn": f"{ARN}:cluster/shop", "launchType": "FARGATE",
            "taskDefinitionArn": f"{ARN}:task-definition/web:7", "enableExecuteCommand": True, "lastStatus": "RUNNING",
            "startedAt": time.time(), "containers": [container],
            "attachments": [{"details": [{"name": "privateIPv4Address", "value": "10.0.0.9"}]}],
        }  # fmt: skip
        self.definition: dict[str, Any] = {
            "taskDefinitionArn": f"{ARN}:task-definition/web:7",
            "containerDefinitions": [{"name": "web", "image": "shop/web:1", "logConfiguration": {
                "logDriver": "awslogs", "options": {"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "s"}}}],
        }  # fmt: skip
        self.cluster: dict[str, Any] = {
            "clusterName": "shop", "configuration": {"executeCommandConfiguration": {"logging": "NONE"}}
        }  # fmt: skip

    def start(self) -> None:
        rig = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                rig.call(self)

            def do_GET(self) -> None:
                self.close_connection = True
                rig.open(self)

            def log_message(self, *_: object) -> None:
                return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.port = self._http.server_address[1]

    def stop(self) -> None:
        for session in self.sessions.values():
            session.kill()
        self._http.shutdown()
        self._http.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, request: BaseHTTPRequestHandler) -> None:
        action = request.headers["X-Amz-Target"].rpartition(".")[2]
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        assert "AWS4-HMAC-SHA256" in request.headers["Authorization"]
        self.calls.append((action, body))
        status, answer = 200, dict[str, Any]()
        if action in self.deny:
            status, answer = 400, {"__type": "AccessDeniedException", "message": f"not allowed: {action}"}
        elif action == "DescribeTasks":
            known = body["tasks"][0].rpartition("/")[2] == TASK and body["cluster"] == "shop"
            answer = {"tasks": [self.task] if known else [], "failures": [] if known else [{"reason": "MISSING"}]}
        elif action == "DescribeTaskDefinition":
            assert body == {"taskDefinition": f"{ARN}:task-definition/web:7"}
            answer = {"taskDefinition": self.definition}
        elif action == "DescribeClusters":
            assert body == {"clusters": ["shop"], "include": ["CONFIGURATIONS"]}
            answer = {"clusters": [self.cluster]}
        elif action == "GetLogEvents":
            assert (body["logGroupName"], body["logStreamName"]) == ("/ecs/shop", f"s/web/{TASK}")
            first = "nextToken" not in body
            answer = {"events": [{"timestamp": 1, "message": "served"}] if first else [], "nextForwardToken": "f/1"}
        elif action == "ExecuteCommand":
            assert sorted(body) == ["cluster", "command", "container", "interactive", "task"]
            assert (body["interactive"], body["container"], body["task"]) == (True, "web", self.task["taskArn"])
            made = Session(self, shlex.split(body["command"]))
            self.sessions[made.ident] = made
            url = f"ws://127.0.0.1:{self.port}/v1/data-channel/{made.ident}?role=publish_subscribe"
            answer = {"session": {"sessionId": made.ident, "streamUrl": url, "tokenValue": made.token}}
        else:
            status, answer = 400, {"__type": "UnknownOperationException", "message": action}
        data = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/x-amz-json-1.1")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def open(self, request: BaseHTTPRequestHandler) -> None:
        ident = request.path.partition("?")[0].rpartition("/")[2]
        digest = hashlib.sha1((request.headers["Sec-WebSocket-Key"] + GUID).encode()).digest()
        accept = base64.b64encode(digest).decode()
        request.connection.sendall(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        session = self.sessions[ident]
        try:
            session.serve(request.connection)
        except (AssertionError, KeyError, ValueError) as error:
            self.wrong.append(f"{type(error).__name__}: {error}")
        except (OSError, EOFError):
            pass  # the client went away
        finally:
            session.kill()
