# SPDX-License-Identifier: Apache-2.0
"""Opening the SSH connection: configuration, jump hosts, keys, and why it was refused."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.acquire.transports.ssh.address import known_name, parse_address
from memir.acquire.transports.ssh.config import Settings, SshConfig
from memir.acquire.transports.ssh.config_tokens import expand, local_user, port_of, tokens_of
from memir.acquire.transports.ssh.host_key import HostKeyCheck
from memir.acquire.transports.ssh.identities import Identities, agent_address, default_files, login
from memir.acquire.transports.ssh.known_hosts import MAX_FILE, KnownHosts, read_known_hosts
from memir.acquire.transports.ssh.passphrase import ask_passphrase
from memir.acquire.transports.ssh.proxy import ProxyCommand
from memir.errors import AccessError, ConnectError, UsageError

if TYPE_CHECKING:
    import paramiko

    from memir.acquire.transports.ssh.target import SshTarget

MAX_JUMPS = 8
REKEY = 1 << 35


def open_client(target: SshTarget) -> tuple[paramiko.SSHClient, list[paramiko.SSHClient]]:
    """Connect, through jump hosts if the target or ~/.ssh/config names them.

    Returns the client of the target and every client opened, outermost first. Raises ConnectError when a host
    is not reachable or its key is unknown or changed, AccessError when the login is refused.
    """
    opened: list[paramiko.SSHClient] = []
    try:
        client = _open(target, opened, MAX_JUMPS)
    except BaseException:
        for hop in reversed(opened):
            with contextlib.suppress(OSError, EOFError):
                hop.close()
        raise
    return client, opened


def _open(target: SshTarget, opened: list[paramiko.SSHClient], depth: int) -> paramiko.SSHClient:
    import paramiko

    if depth == 0:
        raise UsageError(f"more than {MAX_JUMPS} jump hosts before {target.host}: look for a loop in ~/.ssh/config")
    settings = SshConfig(target.config).lookup(target.host, target.user, target.port)
    name = settings.get("hostname")
    port = target.port or port_of(settings.get("port", "22"), settings.where.get("port", "Port"))
    user = target.user or settings.get("user") or local_user()
    tokens = tokens_of(host=name, original=target.host, port=port, user=user, jump=settings.get("proxyjump"))
    through = _way(target, settings, tokens, (name, port), opened, depth)
    known = known_name(name, port, settings.get("hostkeyalias"))
    # paramiko loads when it is used, so that neither can name its base class here
    check: Any = HostKeyCheck(known, _known_hosts(target, settings, tokens, known))
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(check)
    strategy: Any = _Login(user, _identities(target, settings, tokens))
    where = f"{name} port {port}"
    try:
        client.connect(
            name, port, username=user, sock=through, banner_timeout=target.timeout,
            timeout=2 * target.timeout,  # banner and keys; alike, it would end first, with no reason told
            auth_timeout=target.timeout, transport_factory=_fast_transport(check.known.kinds()),
            auth_strategy=strategy,
        )  # fmt: skip
    except AccessError as error:
        raise AccessError(f"{user}@{where} {error}") from error
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        ended = through.last_words() if isinstance(through, ProxyCommand) else ""
        why = ended or _reason(error, target.timeout)
        raise ConnectError(f"SSH with {where} failed: {why}") from error
    opened.append(client)
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(15)
    return client


def _way(
    target: SshTarget, settings: Settings, tokens: Mapping[str, str], end: tuple[str, int],
    opened: list[paramiko.SSHClient], depth: int,
) -> Any:  # fmt: skip
    """What carries the connection: a jump host's channel, a command, a socket. The command line wins."""
    jump, command = settings.get("proxyjump", "none"), settings.get("proxycommand", "none")
    if target.jump:
        return _through(target, target.jump, end, opened, depth)
    if jump.lower() != "none":
        jump = expand(jump, tokens, settings.where["proxyjump"])
        return _through(target, jump, end, opened, depth)
    if command.lower() != "none":
        return ProxyCommand(expand(command, tokens, settings.where["proxycommand"]))
    return _socket(*end, target.timeout)


def _reason(error: Exception, waited: float) -> str:
    """What went wrong, where paramiko's own words are about its code."""
    if "protocol banner" in str(error) and isinstance(error.__context__, TimeoutError):
        return f"no SSH server answered for {waited:g} s"
    if "protocol banner" in str(error):
        return "the connection was closed before an SSH server answered"
    return str(error) or "the connection was closed"


def _identities(target: SshTarget, settings: Settings, tokens: Mapping[str, str]) -> Identities:
    def full(text: str) -> str:
        return expand(text, tokens, "IdentityFile, CertificateFile or IdentityAgent")

    agent = agent_address(settings.get("identityagent"), full) if target.agent else None
    certificates = [Path(full(each)) for each in settings.lists.get("certificatefile", [])]
    if target.identity:
        return Identities([target.identity], only=True, agent=agent, certificates=certificates)
    files = [Path(full(each)) for each in settings.lists.get("identityfile", []) if each.lower() != "none"]
    if "identityfile" in settings.lists:
        only = settings.yes("identitiesonly")
        return Identities(files, only=only, agent=agent, certificates=certificates)
    defaults = default_files() if target.agent else []
    return Identities(defaults, False, settings.yes("identitiesonly"), agent, certificates)


class _Login:
    """What paramiko asks to log in by."""

    def __init__(self, user: str, identities: Identities) -> None:
        self.user, self.identities = user, identities

    def authenticate(self, transport: paramiko.Transport) -> None:
        login(transport, self.user, self.identities, ask_passphrase)


def _through(
    target: SshTarget, jump: str, end: tuple[str, int], opened: list[paramiko.SSHClient], depth: int
) -> paramiko.Channel:
    import paramiko

    first, _, rest = jump.rpartition(",")
    gateway = parse_address(rest)
    hop = replace(target, host=gateway.host, port=gateway.port, user=gateway.user, jump=first or None)
    gate = _open(hop, opened, depth - 1)
    transport = gate.get_transport()
    assert transport is not None
    try:
        return transport.open_channel("direct-tcpip", end, ("127.0.0.1", 0), timeout=target.timeout)
    except (paramiko.SSHException, OSError) as error:
        raise ConnectError(f"the jump host {gateway.host} cannot reach {end[0]} port {end[1]}: {error}") from error


def _socket(name: str, port: int, timeout: float) -> socket.socket:
    try:
        link = socket.create_connection((name, port), timeout)
    except OSError as error:
        raise ConnectError(f"cannot reach {name} port {port}: {error}") from error
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # a peer that vanished (reboot, pulled cable) is found out in about a minute, not in hours
    for option, value in (
        ("TCP_KEEPIDLE", 20),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 4),
        ("TCP_USER_TIMEOUT", 60_000),
    ):
        if hasattr(socket, option):
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return link


def _known_hosts(target: SshTarget, settings: Settings, tokens: Mapping[str, str], name: str) -> KnownHosts:
    """What the files say of a host; name: as they write it."""
    known = KnownHosts()
    if target.known_hosts is not None:
        files = [target.known_hosts]
    else:
        users = settings.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")
        systems = settings.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2")
        named = [each for each in f"{users} {systems}".split() if each.lower() != "none"]
        files = [Path(expand(each, tokens, "UserKnownHostsFile")) for each in named]
    for path in files:
        if target.known_hosts is None and not path.is_file():
            continue
        try:
            with path.open("rb") as file:
                text = file.read(MAX_FILE).decode("utf-8", "replace")
        except OSError as error:
            raise UsageError(f"cannot read the known hosts file {path}: {error}") from error
        read_known_hosts(text, name, known)
    return known


def _fast_transport(kinds: Sequence[str]) -> Any:
    import paramiko

    class Fast(paramiko.Transport):
        """AES-GCM first: one pass in C instead of a cipher and a MAC. New keys cannot stop it.

        paramiko's own thread also answers the server (a channel's close, a request). While keys are exchanged it may
        not, waits for that, and so waits for itself, for 30 s till the connection breaks. Here such answers are sent
        after the exchange. paramiko asks for new keys every 512 MiB; AES is good for 64 GiB (RFC 4344, 3.2).
        """

        _preferred_ciphers = (
            "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr",
        )  # fmt: skip

        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._late: list[Any] = []
            super().__init__(*arguments, **options)
            self.packetizer.REKEY_BYTES = REKEY
            # the kinds of key that known_hosts has come first, so that the server shows one that can be checked
            security = self.get_security_options()
            security.key_types = [
                *(kind for kind in kinds if kind in security.key_types),
                *(kind for kind in security.key_types if kind not in kinds),
            ]

        def _send_user_message(self, data: Any) -> None:
            if threading.current_thread() is self and not self.clear_to_send.is_set():
                self._late.append(data)
            else:
                super()._send_user_message(data)  # type: ignore[misc]  # the stubs leave it out

        def _parse_newkeys(self, m: Any) -> None:
            super()._parse_newkeys(m)  # type: ignore[misc]  # the stubs leave it out
            late, self._late = self._late, []
            for data in late:
                self._send_user_message(data)

    return Fast
