# SPDX-License-Identifier: Apache-2.0
"""What `memir collect ecs` takes as options."""

from __future__ import annotations

from dataclasses import dataclass

from memir.acquire.settings import argument, option
from memir.collect.settings import Collecting


@dataclass
class EcsSettings(Collecting):
    """A task of ECS, from within a container of it by ECS Exec: memory, files, environment, logs. Needs its Python 3.

    The task must have been started with enableExecuteCommand. Which processes were refused, and why, is counted.
    Exit 0: whole. 4: partial, refused by a check, or the task did not answer. 130: interrupted, the rest kept.
    """

    name: str = argument("Name or ARN.", "CLUSTER")
    task: str = argument("Id or ARN.", "TASK", kw_only=True)
    container: str = option("", "Which; by default the task's first.", "--container", "-c")
    accept_log: bool = option(False, "What is read may go into ECS Exec's session log.", "--accept-session-log")
    eni: bool = option(False, "Ask AWS for the task's network interface.")
    logs: bool = option(False, "The container's log in CloudWatch Logs too (awslogs).")
    endpoint: str | None = option(None, "Another endpoint of ECS, EC2 and logs.")
    dry_run: bool = option(False, "Print every step and trace; run nothing there.")
