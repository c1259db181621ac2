# SPDX-License-Identifier: Apache-2.0
"""Which keys are offered, and in which order: as ssh does (ssh_config(5): IdentityFile, IdentitiesOnly, IdentityAgent).

Each key that is offered counts for the server's MaxAuthTries, so with --identity, or IdentitiesOnly, nothing else is.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.acquire.transports.ssh.keys import Ask, certificate_of, load_key, public_of
from memir.errors import AccessError, UsageError

if TYPE_CHECKING:
    import paramiko

DEFAULTS = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
"""The identity files that ssh looks for where none is named (ssh_config(5))."""


@dataclass
class Identities:
    """What to log in with.

    files: key files in order. named: they were named, so one that cannot be used is told. only: nothing else that the
    agent holds is offered. agent: its socket, None for no agent. problems: what could not be offered, for the message.
    """

    files: list[Path]
    named: bool = True
    only: bool = False
    agent: str | None = None
    certificates: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)

    def keys(self, ask: Ask) -> Iterator[paramiko.PKey]:
        """Each key to offer: the agent's that the files name, the agent's others, those of files alone."""
        held = agent_keys(self.agent, self.problems)
        publics = {path: public_of(path) for path in self.files}
        chosen = [key for blob in publics.values() for key in held if blob and _blob(key) == blob]
        yield from chosen
        if not self.only:
            yield from (key for key in held if key not in chosen)
        for path in self.files:
            if any(_blob(key) == publics[path] for key in chosen):
                continue
            try:
                yield from self._of_file(path, ask)
            except (UsageError, AccessError) as error:
                self.problems.append(str(error))

    def _of_file(self, path: Path, ask: Ask) -> Iterator[paramiko.PKey]:
        if not path.exists() and not self.named:
            return
        key = load_key(path, ask)
        beside = path.with_name(f"{path.name}-cert.pub")
        for each in [*self.certificates, *([beside] if beside.is_file() else [])]:
            certified = certificate_of(key, each)
            if certified is not None:
                yield certified
        yield key


def agent_keys(address: str | None, problems: list[str]) -> list[Any]:
    """The keys that an agent holds; what is wrong with it goes to `problems`."""
    import paramiko
    from paramiko.agent import AgentSSH

    if not address:
        return []
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(30)
    agent = AgentSSH()
    try:
        link.connect(address)
        agent._connect(link)  # type: ignore[attr-defined]  # the only way to say which agent
    except (OSError, paramiko.SSHException, IndexError) as error:
        link.close()
        problems.append(f"the agent at {address} does not answer ({error})")
        return []
    # whoever signs may be asked for a touch or a confirmation
    link.settimeout(None)
    return list(agent.get_keys())


def agent_address(setting: str, expand: Callable[[str], str]) -> str | None:
    """The agent's socket: IdentityAgent's value (a path, none, SSH_AUTH_SOCK, $NAME), or the environment's."""
    if setting.lower() == "none":
        return None
    if setting.startswith("$") and not setting.startswith("${"):
        return os.environ.get(setting[1:]) or None
    if setting and setting != "SSH_AUTH_SOCK":
        return expand(setting)
    return os.environ.get("SSH_AUTH_SOCK") or None


def default_files() -> list[Path]:
    """The identity files that are there, of those that ssh looks for."""
    folder = Path("~/.ssh").expanduser()
    return [folder / name for name in DEFAULTS if (folder / name).is_file()]


def login(transport: paramiko.Transport, user: str, identities: Identities, ask: Ask) -> None:
    """Log in with the first key that the server takes.

    Raises AccessError saying what was offered and what could not be; paramiko's SSHException when the link breaks.
    """
    import paramiko

    for key in identities.keys(ask):
        identities.offered.append(_named(key))
        try:
            more = transport.auth_publickey(user, key)
        except paramiko.BadAuthenticationType as error:
            raise AccessError(
                f"takes no key (it offers {', '.join(error.allowed_types)}): allow publickey there for this user"
            ) from error
        except paramiko.AuthenticationException as error:
            if not transport.is_active():
                raise AccessError(_too_many(identities)) from error
            continue
        except (paramiko.SSHException, EOFError) as error:
            if not transport.is_active():
                raise AccessError(_too_many(identities)) from error
            identities.problems.append(f"{_named(key)} cannot sign ({error})")
            continue
        if more:
            raise AccessError(
                f"takes the key {_named(key)} but wants more ({', '.join(more)}): log in with a key alone, as memir "
                "cannot answer a second question"
            )
        return
    raise AccessError(_refused(identities))


def _refused(identities: Identities) -> str:
    told = f" ({'; '.join(identities.problems)})" if identities.problems else ""
    if not identities.offered:
        return f"was offered no key{told}: give --identity FILE or load the agent (`ssh-add FILE`)"
    return (
        f"refuses every key that was offered: {', '.join(identities.offered)}{told}. Give --identity FILE, load the "
        "agent (`ssh-add FILE`), or say --user"
    )


def _too_many(identities: Identities) -> str:
    return (
        f"ended the login after {len(identities.offered)} keys ({', '.join(identities.offered)}; its MaxAuthTries):"
        " name the right one with --identity FILE, then no other is offered"
    )


def _named(key: Any) -> str:
    comment = getattr(key, "comment", "") or ""
    return f"{key.get_name()} {key.fingerprint}{f' {comment}' if comment else ''}"


def _blob(key: Any) -> bytes:
    # the agent's own bytes: of a certificate paramiko gives the plain key's
    return bytes(getattr(key, "blob", b"") or key.asbytes())
