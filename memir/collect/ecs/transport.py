# SPDX-License-Identifier: Apache-2.0
"""Scripts in a task's container by ECS Exec: each is a session of its own, through a terminal (terminal.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memir.acquire.transports.base import Result, Stream
from memir.aws.client import Client
from memir.aws.errors import calling, cause_code
from memir.aws.session_channel import open_channel
from memir.collect.ecs.task import EcsTask, read_task
from memir.collect.ecs.terminal import TerminalStream, command, run
from memir.errors import NodeError, StorageError
from memir.evidence.plan import Check, Step, Trace


class EcsTransport:
    """One container of one task. accept_log: whether what is read may go into ECS Exec's session log."""

    kind = "ecs-exec"
    streams = True

    def __init__(self, ecs: Client, task: EcsTask, *, accept_log: bool = False) -> None:
        self._ecs, self.task, self._accept_log = ecs, task, accept_log
        self._agent = ""

    @property
    def _where(self) -> str:
        return f"container {self.task.container} of task {self.task.ident}"

    def connect(self) -> None:
        """See that the task is the same and runs. Raises NodeError, AccessError."""
        arn = str(self.task.document["taskArn"])
        runtime = self.task.running.get("runtimeId")
        self.task = read_task(self._ecs, self.task.cluster, arn, self.task.container)
        if self.task.running.get("runtimeId") != runtime:
            raise NodeError(f"{self._where} is another run of it now: begin again")
        if self.task.running.get("lastStatus") != "RUNNING":
            status = self.task.running.get("lastStatus")
            raise NodeError(f"{self._where} does not run ({status}): there is no process to look at")

    def identity(self) -> Mapping[str, str]:
        """The container that is looked at, from within itself."""
        document, running = self.task.document, self.task.running
        return {
            "task": str(document.get("taskArn", "")), "cluster": str(document.get("clusterArn", self.task.cluster)),
            "definition": str(document.get("taskDefinitionArn", "")), "container": self.task.container,
            "container_id": str(running.get("runtimeId") or ""), "image": str(running.get("image") or ""),
            "image_digest": str(running.get("imageDigest") or ""), "launch_type": str(document.get("launchType") or ""),
        }  # fmt: skip

    def check(self) -> Sequence[Check]:
        """Whether the task has ECS Exec, and where its sessions are logged. Nothing is started."""
        agents = {entry.get("name"): entry for entry in self.task.running.get("managedAgents") or ()}
        state = str(agents.get("ExecuteCommandAgent", {}).get("lastStatus", "absent"))
        enabled = self.task.document.get("enableExecuteCommand") is True
        later = "it is set when a task starts: a new task has another memory, this one stays as it is"
        heard = "the task has it" if enabled else "the task has not"
        runs, role = state == "RUNNING", "the task role needs ssmmessages:*Channel, and a way to ssmmessages"
        ptrace = "the task definition gives it" if self.task.ptrace else (
            "the task definition does not give it: memory of processes of the same user alone"
        )  # fmt: skip
        checks = [
            Check("enableExecuteCommand", "ok" if enabled else "fail", heard, "" if enabled else later),
            Check("ExecuteCommandAgent", "ok" if runs else "fail", f"the agent in the container is {state}",
                  "" if runs else role),
            Check("SYS_PTRACE", "ok" if self.task.ptrace else "warn", ptrace),
        ]  # fmt: skip
        return [*checks, self._log()]

    def _log(self) -> Check:
        where = self.task.session_log
        if not where:
            return Check("session log", "ok", "ECS Exec logs no session of this cluster")
        words = f"what is read goes to it too, memory and secrets: {where}"
        if where == "unknown":
            words = "where ECS Exec logs sessions is not known (ecs:DescribeClusters, ecs:DescribeTaskDefinition)"
        return Check("session log", "warn" if self._accept_log else "fail", words, "" if self._accept_log else
                     "accept that with --accept-session-log")  # fmt: skip

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        """Run a script to its end."""
        return run(self._start(script, data), timeout, limit)

    def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
        """Start a script and read its output."""
        return self._start(script, data)

    def _start(self, script: str, data: bytes) -> TerminalStream:
        session = self._session()
        channel = open_channel(str(session["streamUrl"]), str(session["tokenValue"]), self._where)
        self._agent = channel.agent
        try:
            return TerminalStream(channel, script, data, self._where)
        except BaseException:
            channel.close()
            raise

    def _session(self) -> Mapping[str, Any]:
        try:
            with calling("ecs:ExecuteCommand", self._where):
                answer: Mapping[str, Any] = self._ecs.execute_command(
                    cluster=self.task.cluster, task=str(self.task.document["taskArn"]), container=self.task.container,
                    command=command(), interactive=True,
                )["session"]  # fmt: skip
        except StorageError as error:
            if cause_code(error) in ("TargetNotConnectedException", "InvalidParameterException"):
                raise NodeError(f"{self._where}: ECS Exec does not reach it: {error.__cause__}") from error
            raise
        return answer

    def put(self, path: str, source: bytes | Path, *, mode: int = 0o600) -> None:
        """Nothing is written in a task that is looked at. Raises NodeError."""
        del source, mode
        raise NodeError(f"{path}: nothing is written in {self._where}")

    def steps(self) -> Sequence[Step]:
        """What connecting does."""
        return (
            Step(f"run Python and a shell in {self._where}, its own programs, each time in a session of ECS Exec: they "
                 "show in its process list", "aws", "ecs:ExecuteCommand", changes=True),
        )  # fmt: skip

    def traces(self) -> Sequence[Trace]:
        """What it leaves."""
        log = self.task.session_log
        return (
            Trace("CloudTrail", "ExecuteCommand with the fixed words that start Python, DescribeTasks ..."),
            Trace("Session Manager's history (30 days)", "each session, its start and end"),
            *((Trace("ECS Exec's session log", f"all that was read: {log}"),) if log else ()),
            Trace("GuardDuty Runtime Monitoring", "possibly findings of the shell and Python that ran"),
        )

    def reconnect(self) -> None:
        """Look at the task again."""
        self.connect()

    def close(self) -> None:
        """Nothing is held: each session ends with its script."""
