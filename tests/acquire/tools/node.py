# SPDX-License-Identifier: Apache-2.0
"""The node that tools are chosen for, and the vermagic of its kernel."""

from __future__ import annotations

from memir.acquire.facts import NodeFacts

MAGIC = "6.1.0-13-amd64 SMP preempt mod_unload modversions "
NODE = NodeFacts(kernel="6.1.0-13-amd64", machine="x86_64", kcore=True, commands=frozenset({"insmod", "rmmod"}))
