# SPDX-License-Identifier: Apache-2.0
"""The transports: a new one is its folder or file with an options.py, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from memir.acquire.transports.local_options import LocalOptions
from memir.acquire.transports.pod.options import PodAcquireOptions
from memir.acquire.transports.ssh.options import SshOptions
from memir.acquire.transports.ssm.options import SsmOptions

TRANSPORTS: Mapping[str, type] = {
    "ssh": SshOptions,
    "local": LocalOptions,
    "ssm": SsmOptions,
    "pod": PodAcquireOptions,
}
"""Verb of `memir acquire` to its options (settings.TransportOptions); the class's docstring is the verb's help."""
