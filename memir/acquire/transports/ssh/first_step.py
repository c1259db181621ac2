# SPDX-License-Identifier: Apache-2.0
"""Why the first script on a host did not say that it runs as root: no shell, noise before its output, or no rights."""

from __future__ import annotations

import re

from memir.acquire.transports.base import Result

SHOWN = 120
"""Characters of the host's own words in a message."""


def why_not_root(plain: Result, with_sudo: Result, account: str) -> str:
    """What to tell. plain, with_sudo: what `id -u` gave back, as the account and through `sudo -n`."""
    noise = _noise(plain) or _noise(with_sudo)
    if noise:
        return (
            f"{account}: something writes to every command's output ({noise!r}): a ForceCommand, or a shell's start-up "
            "file that prints without a terminal; use another account, or make that file silent"
        )
    if not plain.text.strip() and plain.code != 0:
        why = _last(plain.error) or f"exit code {plain.code}"
        return f"{account} has no shell that runs /bin/sh ({why}): use another account"
    if not re.fullmatch(r"\d+", plain.text.strip()):
        why = _last(plain.text) or _last(plain.error) or "nothing"
        return f"{account} runs no script: it answers {why!r} to `id -u` (a restricted shell, or a ForceCommand)"
    why = _last(with_sudo.error) or f"exit code {with_sudo.code}"
    return (
        f"{account} is not root and `sudo -n` does not work there ({why}): use --user root or give the user sudo "
        "without a password"
    )


def _noise(result: Result) -> str:
    """What came before the number that `id -u` prints, "" if nothing did."""
    lines = result.text.strip().splitlines()
    return lines[0][:SHOWN] if len(lines) > 1 and re.fullmatch(r"\d+", lines[-1].strip()) else ""


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:SHOWN]
