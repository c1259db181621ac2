# SPDX-License-Identifier: Apache-2.0
"""Hosts as people write them."""

from __future__ import annotations

import pytest

from memir.acquire.transports.ssh.address import Address, known_name, parse_address
from memir.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("node", Address("node")), ("kim@node", Address("node", "kim")), ("node:2222", Address("node", None, 2222)),
        ("[::1]", Address("::1")), ("root@[::1]:2222", Address("::1", "root", 2222)), ("fd00::7", Address("fd00::7")),
        ("kim@fe80::1%eth0", Address("fe80::1%eth0", "kim")), ("a@b@node", Address("node", "a@b")),
        ("ssh://kim%40x@[::1]:22/", Address("::1", "kim@x", 22)), ("ssh://node", Address("node")),
    ],
)  # fmt: skip
def test_each_way(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no host"), ("kim@", "names no host"), ("-oProxyCommand=x", "names no host"),
        ("[::1", "an IPv6 address is written"), ("[::1]x", "an IPv6 address is written"), ("node:ssh", "is no port"),
        ("node:0", "is no port"), ("node:65536", "is no port"), ("node:\u0663", "is no port"),
    ],
)  # fmt: skip
def test_what_is_no_host(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_address(text)


def test_names_in_known_hosts() -> None:
    assert known_name("::1", 22, None) == "::1"
    assert known_name("::1", 2222, None) == "[::1]:2222"
    # OpenSSH puts no port to an alias
    assert known_name("node", 2222, "alias") == "alias"
