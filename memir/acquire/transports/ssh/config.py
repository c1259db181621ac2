# SPDX-License-Identifier: Apache-2.0
"""ssh_config(5) as OpenSSH reads it: first value wins, Host, Match, Include with globs and inside of blocks.

paramiko's reader ignores Include (and so takes another user, key or jump host than ssh does) and knows half of Match.
"""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from memir.acquire.transports.ssh.config_match import Situation, matches, pattern_list
from memir.acquire.transports.ssh.config_tokens import expand, home_of
from memir.errors import UsageError

SYSTEM = Path("/etc/ssh/ssh_config")
MAX_FILE = 16 << 20
MAX_DEPTH = 16
"""As deep as OpenSSH follows Include (READCONF_MAX_DEPTH)."""
MANY = ("identityfile", "certificatefile")
"""Each line of these adds a value; of all others the first one counts."""


@dataclass(frozen=True, slots=True)
class Line:
    """One setting: its keyword in lower case, its words and its text, and where it stands."""

    keyword: str
    words: tuple[str, ...]
    text: str
    where: str


@dataclass
class Settings:
    """What the configuration says of one host. values: of each keyword the first; lists: of those that add up."""

    host: str
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)

    def get(self, keyword: str, default: str = "") -> str:
        """A value as text; `default` where no line says it."""
        return self.values.get(keyword, default)

    def yes(self, keyword: str) -> bool:
        """Whether a switch is on."""
        return self.get(keyword, "no").lower() in {"yes", "true"}


class SshConfig:
    """~/.ssh/config and the machine's file, or one file that was named; read anew for each host.

    Raises UsageError naming file and line for what cannot be read.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            self.files = [(path, True)]
        else:
            users = Path("~/.ssh/config").expanduser()
            self.files = [(each, user) for each, user in ((users, True), (SYSTEM, False)) if each.is_file()]

    def lookup(self, host: str, user: str | None = None, port: int | None = None) -> Settings:
        """What holds for a host as it was typed; user and port, where the command line names them, win."""
        situation = Situation(host, user, port)
        settings = self._pass(situation)
        name = self._canonical(host, settings)
        again = name is not None or situation.asked_final
        if again:
            situation.final, situation.canonical = True, name is not None
            situation.host = name or host
            settings = self._pass(situation, settings)
        chosen = situation.hostname(settings.values)
        settings.values["hostname"] = chosen
        return settings

    def _pass(self, situation: Situation, settings: Settings | None = None) -> Settings:
        settings = settings or Settings(situation.original)
        for path, users in self.files:
            self._read(path, users, situation, settings, True, 0)
        return settings

    def _read(self, path: Path, users: bool, now: Situation, settings: Settings, active: bool, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise UsageError(f"{path}: Include is {MAX_DEPTH} files deep: look for a file that includes itself")
        outer = active
        for line in _lines(path):
            if line.keyword == "host":
                active = outer and pattern_list(line.words, now.host)
            elif line.keyword == "match":
                active = matches(line.words, line.where, now, settings.values, active=outer) and outer
            elif line.keyword == "include":
                for each in _included(line, users):
                    self._read(each, users, now, settings, active, depth + 1)
            elif active:
                _take(line, settings)

    @staticmethod
    def _canonical(host: str, settings: Settings) -> str | None:
        """The full name that CanonicalizeHostname makes of a host, None where it makes none."""
        import socket

        if settings.get("canonicalizehostname", "no").lower() not in {"yes", "always"}:
            return None
        if host.count(".") > int(settings.get("canonicalizemaxdots", "1") or 1):
            return host
        for domain in settings.get("canonicaldomains").split():
            try:
                socket.getaddrinfo(f"{host}.{domain}", None)
            except OSError:
                continue
            return f"{host}.{domain}"
        if settings.get("canonicalizefallbacklocal", "yes").lower() == "no":
            where = settings.where.get("canonicaldomains", "none is named")
            raise UsageError(f"no CanonicalDomains has {host} ({where})")
        return host


def _take(line: Line, settings: Settings) -> None:
    if line.keyword in MANY:
        values = settings.lists.setdefault(line.keyword, [])
        if line.words[0] not in values:
            values.append(line.words[0])
    elif line.keyword not in settings.values:
        # ProxyCommand and the like take the rest of the line as it stands
        whole = line.keyword in {"proxycommand", "localcommand", "remotecommand", "knownhostscommand"}
        settings.values[line.keyword] = line.text if whole else " ".join(line.words)
        settings.where[line.keyword] = line.where


def _lines(path: Path) -> Iterator[Line]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the SSH configuration {path}: {error}") from error
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        where = f"{path}:{number}"
        parts = re.fullmatch(r"\"?(\w+)\"?(?:\s*=\s*|\s+)(.*)", line)
        words = _words(parts[2], where) if parts else ()
        if parts is None or not words:
            raise UsageError(f"cannot read the SSH configuration {where}: {line[:80]!r} has no value")
        yield Line(parts[1].lower(), words, parts[2].strip(), where)


def _words(text: str, where: str) -> tuple[str, ...]:
    reader = shlex.shlex(text, posix=True, punctuation_chars=False)
    reader.whitespace_split = True
    reader.commenters = ""
    reader.escape = ""
    try:
        words = list(reader)
    except ValueError as error:
        raise UsageError(f"cannot read the SSH configuration {where}: {error}") from error
    # a comment may follow the words
    for index, word in enumerate(words):
        if word.startswith("#"):
            return tuple(words[:index])
    return tuple(words)


def _included(line: Line, users: bool) -> Iterator[Path]:
    """The files of an Include, in order; one that is not there is no error, as for OpenSSH."""
    for word in line.words:
        name = expand(word, {"d": home_of()}, line.where)
        if not Path(name).is_absolute():
            folder = Path("~/.ssh").expanduser() if users else SYSTEM.parent
            name = str(folder / name)
        for each in sorted(glob.glob(name)):  # noqa: PTH207  (a pattern that is a whole path)
            if Path(each).is_dir():
                raise UsageError(f"{line.where}: Include names the folder {each}; name its files ({each}/*)")
            yield Path(each)
