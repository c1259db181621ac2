# SPDX-License-Identifier: Apache-2.0
"""Hosts as they are written on a command line: user@host, [::1]:2222, ssh://user@host:port, and jump hosts."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from memir.acquire.transports.ssh.config_tokens import port_of
from memir.errors import UsageError


@dataclass(frozen=True, slots=True)
class Address:
    """user@host:port; user and port are None where nothing names them. An IPv6 host has no brackets."""

    host: str
    user: str | None = None
    port: int | None = None


def parse_address(text: str) -> Address:
    """One host: `host`, `user@host`, `host:port`, `[::1]`, `[::1]:port`, a bare IPv6 address, or an ssh:// address.

    Raises UsageError naming the text when the host is empty or the port is no port.
    """
    plain = text.strip()
    uri = plain.lower().startswith("ssh://")
    account, _, place = (plain[6:].rstrip("/") if uri else plain).rpartition("@")
    if place.startswith("["):
        host, closed, rest = place[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise UsageError(f"{text!r} is no host: an IPv6 address is written [ADDRESS] or [ADDRESS]:PORT")
        number = rest[1:]
    elif place.count(":") == 1:
        host, _, number = place.partition(":")
    else:
        host, number = place, ""
    if not host or host.startswith("-"):
        raise UsageError(f"{text!r} names no host: write [user@]host[:port]")
    port = port_of(number, repr(text)) if number else None
    return Address(host, (unquote(account) if uri else account) or None, port)


def known_name(host: str, port: int, alias: str | None) -> str:
    """The name that known_hosts has for a host: `host`, `[host]:port` where the port is not 22, or HostKeyAlias."""
    if alias:
        return alias
    return host if port == 22 else f"[{host}]:{port}"
