# SPDX-License-Identifier: Apache-2.0
"""An SSM (and STS) service on loopback that checks signatures, keeps the documented limits, and really
executes.

Not Amazon's: a stand-in written from its documentation and from what was seen of a real agent. botocore's
endpoint override points at it. The instances' side is in ssm_agent.py.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.acquire.rigs.seaweed import ACCESS_KEY, SECRET_KEY
from tests.acquire.rigs.sigv4 import SignatureError, check
from tests.acquire.rigs.ssm_agent import Agent, Invocation

ACCOUNT = "123456789012"


class Fault(Exception):  # noqa: N818
    """An error answer."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass
class SsmServer:
    """The service. lag: how many first questions say that an invocation does not exist. deny: IAM actions
    refused."""

    folder: Path
    region: str = "eu-west-1"
    lag: int = 1
    scale: float = 1.0
    deny: set[str] = field(default_factory=set)
    agents: dict[str, Agent] = field(default_factory=dict)
    commands: dict[str, dict[str, Invocation]] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    throttle: int = 0
    """How many of the next calls are refused with ThrottlingException."""
    calls: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=lambda: {ACCESS_KEY: SECRET_KEY})
    tokens: dict[str, str] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)
    drop: Any = None
    """Asked with each action: True closes the connection without an answer, after the work was done."""
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, instance_id: str = "i-0123456789abcdef0", **options: Any) -> Agent:
        """One managed instance."""
        folder = self.folder / instance_id
        folder.mkdir(parents=True)
        agent = Agent(instance_id, folder, **options)
        self.agents[instance_id] = agent
        return agent

    def start(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        for agent in self.agents.values():
            agent.stop()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = headers.get("x-amz-target", "")
        xml = not target
        try:
            service = "sts" if xml else "ssm"
            check(
                "POST", request.path, headers, body, self.secrets, service=service, region=self.region,
                tokens=self.tokens, expired=self.expired,
            )  # fmt: skip
            action = "sts:GetCallerIdentity" if xml else "ssm:" + target.rpartition(".")[2]
            self.calls.append(action)
            self._refuse(action)
            answer = IDENTITY if xml else json.dumps(getattr(self, target.rpartition(".")[2])(json.loads(body)))
            if self.drop is not None and self.drop(action):
                request.close_connection = True
                request.connection.close()
                return
            self._answer(request, 200, answer, xml)
        except SignatureError as error:
            self._error(request, 400 if not xml else 403, error.code, str(error), xml)
        except Fault as error:
            self._error(request, error.status, error.code, str(error), xml)

    def _refuse(self, action: str) -> None:
        if self.throttle > 0:
            self.throttle -= 1
            raise Fault("ThrottlingException", "Rate exceeded")
        if action in self.deny:
            raise Fault(
                "AccessDeniedException",
                f"User: arn:aws:iam::{ACCOUNT}:user/responder is not authorized to perform: {action} on "
                f"resource: arn:aws:ssm:{self.region}:{ACCOUNT}:* because no identity-based policy allows "
                f"the {action} action",
            )

    def _error(self, request: BaseHTTPRequestHandler, status: int, code: str, message: str, xml: bool) -> None:
        if xml:
            inner = f"<Code>{code}</Code><Message>{message}</Message>"
            text = f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>"
        else:
            text = json.dumps({"__type": code, "message": message})
        self._answer(request, status, text, xml)

    @staticmethod
    def _answer(request: BaseHTTPRequestHandler, status: int, text: str, xml: bool) -> None:
        data = text.encode()
        request.send_response(status)
        request.send_header("Content-Type", "text/xml" if xml else "application/x-amz-json-1.1")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    # the service's operations, named as Amazon names them

    def DescribeInstanceInformation(self, ask: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted: set[str] = set()
        tags: set[tuple[str, str]] = set()
        for one in ask.get("Filters", []):
            if one["Key"] == "InstanceIds":
                wanted |= set(one["Values"])
            elif one["Key"].startswith("tag:"):
                tags |= {(one["Key"][4:], value) for value in one["Values"]}
        return {
            "InstanceInformationList": [
                {
                    "InstanceId": agent.instance_id, "PingStatus": agent.ping, "PlatformType": "Linux",
                    "AgentVersion": "3.3.1611.0", "PlatformName": "Amazon Linux", "PlatformVersion": "2023",
                    "ComputerName": "node-1", "IPAddress": "127.0.0.1", "LastPingDateTime": time.time(),
                }
                for agent in self.agents.values()
                if (not wanted or agent.instance_id in wanted) and (not tags or tags & agent.tags.items())
            ]
        }  # fmt: skip

    def SendCommand(self, ask: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        ids = ask.get("InstanceIds", [])
        if len(ids) > 50:
            raise Fault("ValidationException", "Member must have length less than or equal to 50")
        if ask.get("DocumentName") != "AWS-RunShellScript":
            raise Fault("InvalidDocument", "no such document")
        if not ids or any(one not in self.agents for one in ids):
            raise Fault("InvalidInstanceId", "Instances not in a valid state for account")
        if any(self.agents[one].ping == "Inactive" for one in ids):
            raise Fault("InvalidInstanceId", "Instances not in a valid state for account")
        delivery = ask.get("TimeoutSeconds", 3600)
        if not 30 <= delivery <= 2_592_000:
            raise Fault("ValidationException", "timeoutSeconds failed to satisfy constraint: 30 to 2592000")
        parameters = ask.get("Parameters", {})
        text = "\n".join(parameters.get("commands", []))
        if len(json.dumps(parameters)) > 64 * 1024:
            raise Fault("MaxDocumentSizeExceeded", "the document is larger than 64 KB")
        try:
            execution = float(parameters.get("executionTimeout", ["3600"])[0])
        except ValueError as error:
            raise Fault("InvalidParameters", "executionTimeout") from error
        if not 5 <= execution <= 172_800:
            execution = 3600
        command_id = str(uuid.uuid4())
        self.commands[command_id] = {}
        self.comments[command_id] = ask.get("Comment", "")
        for one in ids:
            end = time.monotonic() + delivery / self.scale
            invocation = Invocation(command_id, one, text, execution, end)
            self.commands[command_id][one] = invocation
            self.agents[one].take(invocation)
        return {"Command": {"CommandId": command_id, "Status": "Pending", "InstanceIds": ids}}

    def _invocation(self, ask: dict[str, Any]) -> Invocation:
        found = self.commands.get(ask["CommandId"], {}).get(ask["InstanceId"])
        if found is None:
            raise Fault("InvocationDoesNotExist", "")
        found.asked += 1
        if found.asked <= self.lag:
            raise Fault("InvocationDoesNotExist", "")
        return found

    def GetCommandInvocation(self, ask: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        one = self._invocation(ask)
        done = one.ended.is_set()
        return {
            "CommandId": one.command_id, "InstanceId": one.instance_id, "Status": one.status,
            "StatusDetails": one.details, "ResponseCode": one.code if done else -1,
            "StandardOutputContent": one.out if done else "", "StandardErrorContent": one.err if done else "",
        }  # fmt: skip

    def ListCommandInvocations(self, ask: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self.commands.get(ask.get("CommandId", ""), {})
        return {
            "CommandInvocations": [
                {"CommandId": one.command_id, "InstanceId": one.instance_id, "Status": one.status,
                 "CommandPlugins": [{"Output": one.out[:2500]}]}
                for one in found.values()
            ]
        }  # fmt: skip

    def ListCommands(self, ask: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted = ask.get("InstanceId", "")
        return {
            "Commands": [
                {"CommandId": one, "Comment": self.comments[one], "InstanceIds": list(found)}
                for one, found in self.commands.items()
                if wanted in found or not wanted
            ][::-1][: ask.get("MaxResults", 50)]
        }

    def CancelCommand(self, ask: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for one in self.commands.get(ask["CommandId"], {}).values():
            if one.status == "Pending":
                one.end("Cancelled", "Cancelled", -1)
            elif not one.ended.is_set():
                one.status = one.details = "Cancelling"
        return {}


IDENTITY = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult>
<Arn>arn:aws:iam::{ACCOUNT}:user/responder</Arn><UserId>AIDAEXAMPLE</UserId><Account>{ACCOUNT}</Account>
</GetCallerIdentityResult>
<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"""
