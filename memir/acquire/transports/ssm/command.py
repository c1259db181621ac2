# SPDX-License-Identifier: Apache-2.0
"""Send one command through SSM and wait for its end: every status, limit and error by name."""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memir.aws.client import Client
from memir.aws.errors import calling, cause_code
from memir.errors import AccessError, ConnectError, NodeError, RemoteError

TRUNCATED = "--output truncated--"
AGAIN = ("ThrottlingException", "Throttling", "RequestLimitExceeded", "InternalServerError", "ServiceUnavailable")
DONE = ("Success", "Failed", "Cancelled", "TimedOut")
DETAILS = {
    "DeliveryTimedOut": "the agent did not take the command in time: is the instance online?",
    "ExecutionTimedOut": "the script ran longer than allowed and the agent killed it with SIGKILL",
    "Undeliverable": "SSM cannot deliver to this instance: it is stopped, terminated or not managed",
    "Terminated": "SSM ended the command because another error limit was reached",
    "Cancelled": "the command was cancelled and the agent killed it with SIGKILL",
    "DeliveryTimedOutCancelled": "the command was cancelled before it was delivered",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a command. code: the script's exit status as the agent reports it."""

    command_id: str
    status: str
    details: str
    code: int
    out: str
    err: str

    @property
    def truncated(self) -> bool:
        """SSM keeps 24,000 characters of each output."""
        return TRUNCATED in self.out[-200:] or TRUNCATED in self.err[-200:]


@dataclass
class Commander:
    """Sends to one instance. Times in seconds; `poll` is the first pause between questions, which grows to 2
    s.

    delivery: how long SSM may try to deliver (30 at least). silence: how long the agent may be lost while a
    command runs before it is given up.
    """

    client: Client
    instance_id: str
    delivery: int = 120
    poll: float = 0.4
    silence: float = 300.0
    appear: float = 30.0
    comment: str = "memir"
    clock: Callable[[], float] = time.monotonic

    @property
    def where(self) -> str:
        """For messages."""
        return f"instance {self.instance_id}"

    def run(self, text: str, timeout: float) -> Answer:
        """Run to the end. Raises AccessError, ConnectError (not delivered, killed, agent lost)."""
        command_id = self.send(text, timeout)
        try:
            return self.wait(command_id, timeout)
        except BaseException:
            # interrupted, lost or late: what still runs on the node must not go on alone
            self.cancel(command_id)
            raise

    def send(self, text: str, timeout: float) -> str:
        """Send once; the command's id. Where the answer is lost the command is looked for, not sent again."""
        # out of range would silently become an hour
        seconds = max(5, min(172_800, math.ceil(timeout)))
        comment = f"{self.comment} {secrets.token_hex(8)}"
        try:
            answer = self._call(
                "ssm:SendCommand", "send_command", InstanceIds=[self.instance_id], DocumentName="AWS-RunShellScript",
                Comment=comment, TimeoutSeconds=max(30, min(2_592_000, self.delivery)),
                Parameters={"commands": [text], "executionTimeout": [str(seconds)]},
            )  # fmt: skip
        except ConnectError:
            if command := self._find(comment):
                return command
            raise
        except RemoteError as error:
            if cause_code(error) == "InvalidInstanceId":
                raise ConnectError(
                    f"{self.where} is not managed by SSM or not in a valid state ({self.ping()}): check the "
                    "agent, its role and its way to the service"
                ) from error
            raise
        command_id: str = answer["Command"]["CommandId"]
        return command_id

    def _find(self, comment: str) -> str:
        """The id of a command that was sent with this comment, "" if SSM knows none."""
        for _ in range(3):
            try:
                answer = self._call("ssm:ListCommands", "list_commands", InstanceId=self.instance_id, MaxResults=50)
            except RemoteError:
                return ""
            for command in answer.get("Commands", []):
                if command.get("Comment") == comment:
                    return str(command["CommandId"])
            time.sleep(self.poll)
        return ""

    def _call(self, action: str, name: str, **arguments: Any) -> dict[str, Any]:
        """One request, repeated when it was throttled, or lost where asking twice does no harm."""
        attempt = 0
        while True:
            try:
                with calling(action, self.where):
                    answer: dict[str, Any] = getattr(self.client, name)(**arguments)
            except ConnectError:
                if name == "send_command" or attempt >= 6:
                    raise
            except RemoteError as error:
                if cause_code(error) not in AGAIN or attempt >= 6:
                    raise
            else:
                return answer
            time.sleep(min(5.0, self.poll * 2**attempt))
            attempt += 1

    def wait(self, command_id: str, timeout: float) -> Answer:
        """Ask until the command has ended."""
        start = self.clock()
        end, pause, quiet_since = start + timeout + self.delivery + 30, self.poll, None
        while True:
            invocation = self._invocation(command_id, start)
            if invocation is not None and invocation["Status"] in DONE:
                return self._judge(command_id, invocation)
            now = self.clock()
            if invocation is not None and invocation["Status"] == "InProgress":
                # the agent may be starved while RAM is read; only a long silence counts
                lost = self.ping() != "Online"
                quiet_since = (quiet_since or now) if lost else None
                if quiet_since is not None and now - quiet_since >= self.silence:
                    raise ConnectError(
                        f"{self.where}: the agent was lost while a command ran ({self.ping()} for "
                        f"{now - quiet_since:.0f} s): the watchdog on the node removes what is left there"
                    )
            if now > end:
                raise ConnectError(f"{self.where}: command {command_id} did not end in {timeout:.0f} s; cancelled")
            time.sleep(pause)
            pause = min(2.0, pause * 1.3)

    def _invocation(self, command_id: str, start: float) -> dict[str, Any] | None:
        try:
            invocation = self._call(
                "ssm:GetCommandInvocation", "get_command_invocation", CommandId=command_id, InstanceId=self.instance_id
            )
        except ConnectError:
            # one lost question is no lost command
            if self.clock() - start < self.silence:
                return None
            raise
        except RemoteError as error:
            code = cause_code(error)
            # just after sending an invocation does not exist yet
            if code == "InvocationDoesNotExist" and self.clock() - start < self.appear:
                return None
            if code in AGAIN:
                return None
            raise
        return invocation

    def _judge(self, command_id: str, invocation: dict[str, Any]) -> Answer:
        status, details = str(invocation["Status"]), str(invocation.get("StatusDetails", ""))
        answer = Answer(
            command_id, status, details, int(invocation.get("ResponseCode", -1)),
            str(invocation.get("StandardOutputContent", "")), str(invocation.get("StandardErrorContent", "")),
        )  # fmt: skip
        if status in ("Success", "Failed") and details not in ("Undeliverable", "Terminated"):
            return answer
        why = DETAILS.get(details) or DETAILS.get(status) or "SSM gives no reason"
        raise ConnectError(f"{self.where}: command {command_id} ended as {status} ({details}): {why}")

    def ping(self) -> str:
        """PingStatus: Online, ConnectionLost, Inactive; "not managed" when SSM does not know the instance."""
        try:
            information = self.information()
        except RemoteError as error:
            return f"unknown: {error}"
        return str(information.get("PingStatus", "not managed"))

    def information(self) -> dict[str, Any]:
        """What SSM knows about the instance, {} when nothing. Raises AccessError, ConnectError."""
        answer = self._call(
            "ssm:DescribeInstanceInformation", "describe_instance_information",
            Filters=[{"Key": "InstanceIds", "Values": [self.instance_id]}],
        )  # fmt: skip
        instances: list[dict[str, Any]] = answer.get("InstanceInformationList", [])
        return instances[0] if instances else {}

    def cancel(self, command_id: str) -> None:
        """Cancel; the agent answers with SIGKILL. A command that has ended is not touched."""
        with contextlib.suppress(RemoteError), calling("ssm:CancelCommand", self.where):
            self.client.cancel_command(CommandId=command_id, InstanceIds=[self.instance_id])


__all__ = ["AccessError", "Answer", "Commander", "NodeError"]
