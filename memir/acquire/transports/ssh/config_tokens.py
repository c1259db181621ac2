# SPDX-License-Identifier: Apache-2.0
"""Percent tokens, ~ and ${NAME} in the values of an ssh_config (ssh_config(5), TOKENS)."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from memir.errors import UsageError


def local_user() -> str:
    """This user's name. Raises UsageError where the machine does not know it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UsageError(f"cannot tell this user's name ({error}): give --user") from error


def home_of() -> str:
    """This user's home folder."""
    return str(Path("~").expanduser())


def tokens_of(*, host: str, original: str, port: int, user: str, jump: str = "") -> dict[str, str]:
    """Each letter's text for a connection; %C is the hash of %l%h%p%r%j."""
    here = socket.gethostname()
    joined = f"{here}{host}{port}{user}{jump}"
    return {
        "h": host, "n": original, "p": str(port), "r": user, "d": home_of(), "u": local_user(), "i": str(os.getuid()),
        "l": here, "L": here.split(".")[0], "j": jump, "k": original,
        "C": hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest(),
    }  # fmt: skip


def expand(value: str, tokens: Mapping[str, str], where: str) -> str:
    """A value with ~, ${NAME} and %x replaced. Raises UsageError for a token or a variable that is not there."""

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UsageError(f"{where}: the environment has no {match[1]}, which {value!r} names")
        return os.environ[match[1]]

    def token(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        if match[1] not in tokens:
            raise UsageError(f"{where}: {match[0]} in {value!r} means nothing there (%% is a percent sign)")
        return tokens[match[1]]

    if value.startswith("~"):
        value = str(Path(value).expanduser())
    return re.sub(r"%(.)", token, re.sub(r"\$\{(\w+)\}", variable, value))


def port_of(text: str, where: str) -> int:
    """A port as a configuration writes it. Raises UsageError."""
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise UsageError(f"{where}: {text!r} is no port (1 to 65535)")
