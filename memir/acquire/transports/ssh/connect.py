# SPDX-License-Identifier: Apache-2.0
"""Opening the SSH connection: configuration, jump hosts, keys, and why it was refused."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from memir.acquire.transports.ssh.known_hosts import MAX_FILE, KnownHosts, read_known_hosts
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
        for one in reversed(opened):
            with contextlib.suppress(OSError, EOFError):
                one.close()
        raise
    return client, opened


def read_config(path: Path | None) -> paramiko.SSHConfig:
    """~/.ssh/config, or the file given; empty if the default is not there."""
    import paramiko

    chosen = path or Path("~/.ssh/config").expanduser()
    if path is None and not chosen.is_file():
        return paramiko.SSHConfig()
    try:
        return paramiko.SSHConfig.from_path(str(chosen))
    except (OSError, paramiko.ConfigParseError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the SSH configuration {chosen}: {error}") from error


def _open(target: SshTarget, opened: list[paramiko.SSHClient], depth: int) -> paramiko.SSHClient:
    import paramiko

    if depth == 0:
        raise UsageError(f"more than {MAX_JUMPS} jump hosts before {target.host}: look for a loop in ~/.ssh/config")
    said = read_config(target.config).lookup(target.host)
    name = said.get("hostname", target.host)
    port = target.port or int(said.get("port", 22))
    jump = target.jump or said.get("proxyjump")
    through: Any = None
    if jump and jump.lower() != "none":
        through = _through(target, jump, (name, port), opened, depth)
    elif said.get("proxycommand", "none").lower() != "none":
        through = paramiko.ProxyCommand(said["proxycommand"])
    else:
        through = _socket(name, port, target.timeout)
    client = paramiko.SSHClient()
    alias = said.get("hostkeyalias", name)
    known = _known_hosts(client, target, said, alias if port == 22 or alias != name else f"[{alias}]:{port}")
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    keys = [str(target.identity)] if target.identity else list(said.get("identityfile", []))
    keys = [path for path in keys if target.identity or Path(path).is_file()]
    agent = target.agent and not (target.identity or said.get("identitiesonly", "no") == "yes")
    where = f"{name} port {port}"
    user = target.user or said.get("user") or _me()
    # paramiko takes a list of key files; its stubs say one name
    key_files = cast("str", keys or None)
    try:
        client.connect(
            alias, port if alias == name else 22, username=user, sock=through, key_filename=key_files,
            look_for_keys=not keys and target.agent, allow_agent=agent, timeout=target.timeout,
            banner_timeout=target.timeout, auth_timeout=target.timeout, transport_factory=_fast_transport(),
        )  # fmt: skip
    except paramiko.BadHostKeyException as error:
        raise ConnectError(
            f"the host key of {where} has CHANGED (known: {error.expected_key.get_name()} "
            f"{error.expected_key.fingerprint}, offered: {error.key.get_name()} {error.key.fingerprint}): "
            "refused. Someone may be in between; if the node was rebuilt, correct known_hosts"
        ) from error
    except (paramiko.AuthenticationException, paramiko.PasswordRequiredException) as error:
        raise AccessError(
            f"{user}@{where} refuses the login ({error}): give --identity, load the agent, or --user"
        ) from error
    except paramiko.SSHException as error:
        if "No authentication methods" in str(error):
            raise AccessError(f"no key to log in to {user}@{where} with: give --identity or load the agent") from error
        if "not found in known_hosts" in str(error):
            more = f"; {known.authorities} @cert-authority lines for it are not used" if known.authorities else ""
            more += f"; {len(known.revoked)} of its keys are @revoked" if known.revoked else ""
            more += f"; {known.malformed} lines of the files cannot be read" if known.malformed else ""
            raise ConnectError(
                f"the host key of {where} is unknown: refused{more}. Get it by a way that you trust and add it to "
                "known_hosts, or give --known-hosts FILE"
            ) from error
        raise ConnectError(f"SSH with {where} failed: {error}") from error
    except (OSError, EOFError, ValueError) as error:
        raise ConnectError(f"SSH with {where} failed: {error}") from error
    opened.append(client)
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(15)
    return client


def _through(
    target: SshTarget, jump: str, end: tuple[str, int], opened: list[paramiko.SSHClient], depth: int
) -> paramiko.Channel:
    import paramiko

    first, _, rest = jump.rpartition(",")
    user, _, place = rest.rpartition("@")
    if place.startswith("["):
        host, _, number = place[1:].partition("]")
        number = number.removeprefix(":")
    else:
        host, _, number = place.rpartition(":") if place.count(":") == 1 else (place, "", "")
    hop = replace(
        target,
        host=host.strip("[]"),
        port=int(number) if number else None,
        user=user or None,
        jump=first or None,
    )
    gate = _open(hop, opened, depth - 1)
    transport = gate.get_transport()
    assert transport is not None
    try:
        return transport.open_channel("direct-tcpip", end, ("127.0.0.1", 0), timeout=target.timeout)
    except (paramiko.SSHException, OSError) as error:
        raise ConnectError(f"the jump host {host} cannot reach {end[0]} port {end[1]}: {error}") from error


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


def _known_hosts(client: paramiko.SSHClient, target: SshTarget, said: Any, name: str) -> KnownHosts:
    """Give the client the keys that the files have for a name; what they say else."""
    import paramiko

    known = KnownHosts()
    if target.known_hosts is not None:
        files = [target.known_hosts]
    else:
        named = said.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2").split()
        files = [Path(name).expanduser() for name in [*named, "/etc/ssh/ssh_known_hosts"]]
    for path in files:
        if target.known_hosts is None and not path.is_file():
            continue
        try:
            with path.open("rb") as file:
                read_known_hosts(file.read(MAX_FILE).decode("utf-8", "replace"), name, known)
        except OSError as error:
            raise UsageError(f"cannot read the known hosts file {path}: {error}") from error
    for kind, key in known.accepted():
        try:
            entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{name} {kind} {key}")
        except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey):
            entry = None
        if entry is None or entry.key is None:
            known.malformed += 1
        else:
            client.get_host_keys().add(name, kind, entry.key)
    return known


def _fast_transport() -> Any:
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

        def _send_user_message(self, data: Any) -> None:
            if threading.current_thread() is self and not self.clear_to_send.is_set():
                self._late.append(data)
            else:
                super()._send_user_message(data)  # type: ignore[misc]

        def _parse_newkeys(self, m: Any) -> None:
            super()._parse_newkeys(m)  # type: ignore[misc]
            late, self._late = self._late, []
            for data in late:
                self._send_user_message(data)

    return Fast


def _me() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UsageError(f"cannot tell this user's name ({error}): give --user") from error
