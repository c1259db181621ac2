# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/status of recorded processes, where the recording has it (small images and intruded ones)."""

from __future__ import annotations

from tests.images import case


def status(name: str) -> dict[int, dict[str, str]]:
    """Fields by pid; {} for an image whose recording has no status."""
    recorded = case(name).raw_truth()
    return {
        entry["pid"]: dict(line.split(":\t", 1) for line in entry["status"].splitlines() if ":\t" in line)
        for entry in recorded.get("proc", [])
        if entry.get("status")
    }
