# SPDX-License-Identifier: Apache-2.0
"""What `memir collect fargate` takes as options."""

from __future__ import annotations

from dataclasses import dataclass

from memir.acquire.settings import option
from memir.acquire.transports.pod.options import IMAGE
from memir.collect.settings import InCluster


@dataclass
class FargateSettings(InCluster):
    """A pod on EKS Fargate, from within: memory of the processes that may be read without SYS_PTRACE, files, logs.

    An ephemeral container cannot be taken back: it is printed first, and asked for. Which processes were refused, and
    why, is counted. Exit 0: whole. 2: not accepted, nothing changed. 4: partial, or a side did not answer.
    """

    container: str = option("", "Which; by default the pod's first.", "--container", "-c")
    way: str = option("ephemeral", "ephemeral: a container of ours beside it; exec: a shell of its own.")
    accept_ephemeral: bool = option(False, "The container cannot be taken back; asks nothing.")
    image: str = option(IMAGE, "Of the ephemeral container; needs sh, coreutils and Python 3.6.")
    user: str = option("", "Ephemeral: run as; by default as the container.", metavar="UID[:GID]")
    eni: bool = option(False, "Ask AWS for the pod's network interface.")
    ec2_endpoint: str | None = option(None, "Another EC2 endpoint.")
    dry_run: bool = option(False, "Print every step and trace; change nothing.")
