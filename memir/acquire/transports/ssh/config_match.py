# SPDX-License-Identifier: Apache-2.0
"""Which blocks of an ssh_config hold for a host: patterns of Host, criteria of Match (ssh_config(5))."""

from __future__ import annotations

import fnmatch
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from memir.acquire.transports.ssh.config_tokens import expand, local_user, port_of, tokens_of
from memir.errors import UsageError

SINGLE = {"all", "canonical", "final"}


@dataclass
class Situation:
    """What a Match is asked about. host: as typed, or its canonical name in the second pass."""

    original: str
    user: str | None = None
    port: int | None = None
    host: str = field(default="")
    canonical: bool = False
    final: bool = False
    asked_final: bool = False

    def __post_init__(self) -> None:
        self.host = self.host or self.original

    def hostname(self, values: Mapping[str, str]) -> str:
        """The name that is connected to so far: HostName with %h, else the host."""
        named = values.get("hostname", "")
        return expand(named, {"h": self.host}, "HostName") if named else self.host

    def login(self, values: Mapping[str, str]) -> str:
        """Who logs in so far."""
        return self.user or values.get("user") or local_user()


def pattern_list(patterns: Iterable[str], name: str) -> bool:
    """Whether one pattern fits and none that begins with ! does. Only * and ? are wild. Case does not count."""
    fits = False
    for pattern in patterns:
        plain = pattern.removeprefix("!").lower().replace("[", "[[]")
        if fnmatch.fnmatchcase(name.lower(), plain):
            if pattern.startswith("!"):
                return False
            fits = True
    return fits


def matches(words: Sequence[str], where: str, now: Situation, values: Mapping[str, str], *, active: bool) -> bool:
    """Whether every criterion of a Match line holds. `active` False: nothing is run, the line is only read.

    Raises UsageError naming the line for a criterion that is not known: to guess would be to take other settings
    than ssh does.
    """
    rest, holds = list(words), True
    while rest:
        word = rest.pop(0)
        negated = word.startswith("!")
        name, equals, value = word.removeprefix("!").partition("=")
        name = name.lower()
        if name in SINGLE:
            if name == "final":
                now.asked_final = True
            true = {"all": True, "canonical": now.canonical, "final": now.final}[name]
        else:
            if not equals:
                if not rest:
                    raise UsageError(f"{where}: Match {name} has no value")
                value = rest.pop(0)
            true = _criterion(name, value, where, now, values, run=active and holds)
        holds = holds and true is not negated
    return holds


def _criterion(
    name: str, value: str, where: str, now: Situation, values: Mapping[str, str], *, run: bool
) -> bool:
    patterns = value.split(",")
    if name == "exec":
        return run and _exec(value, where, now, values)
    if name == "host":
        return pattern_list(patterns, now.hostname(values))
    if name == "originalhost":
        return pattern_list(patterns, now.original)
    if name == "user":
        return pattern_list(patterns, now.login(values))
    if name == "localuser":
        return pattern_list(patterns, local_user())
    if name == "tagged":
        return pattern_list(patterns, values.get("tag", ""))
    if name == "sessiontype":
        return pattern_list(patterns, "exec")
    raise UsageError(
        f"{where}: memir does not know `Match {name}`: give --ssh-config FILE with a file that has no such line "
        "(`ssh -G HOST` prints the settings that hold)"
    )


def _exec(command: str, where: str, now: Situation, values: Mapping[str, str]) -> bool:
    """Whether the command ends with 0; it is the user's own, run by the user's shell, as ssh does."""
    name = now.hostname(values)
    port = now.port or port_of(values.get("port", "22"), where)
    tokens = tokens_of(host=name, original=now.original, port=port, user=now.login(values))
    line = expand(command, tokens, where)
    shell = os.environ.get("SHELL") or "/bin/sh"
    try:
        done = subprocess.run([shell, "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise UsageError(f"{where}: cannot run the command of Match exec: {error}") from error
    return done.returncode == 0
