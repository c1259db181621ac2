# SPDX-License-Identifier: Apache-2.0
"""Whether a server's key is the one that known_hosts has; nothing is ever written there."""

from __future__ import annotations

from typing import Any

from memir.acquire.transports.ssh.known_hosts import KnownHosts
from memir.errors import ConnectError


class HostKeyCheck:
    """paramiko's policy: any of the keys that the files have for a name is right, as for ssh; a revoked one never is.

    Raises ConnectError that says which: unknown, changed, revoked.
    """

    def __init__(self, name: str, known: KnownHosts) -> None:
        self.name, self.known = name, known

    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
        """Called with the server's key before anything else is sent."""
        del client, hostname
        offered = key.get_base64()
        if offered in self.known.revoked:
            raise ConnectError(
                f"the host key of {self.name} ({key.get_name()} {key.fingerprint}) is @revoked in known_hosts: refused."
                " Nobody who has it is to be believed"
            )
        accepted = self.known.accepted()
        if (key.get_name(), offered) in accepted:
            return
        if accepted:
            kinds = ", ".join(sorted({kind for kind, _ in accepted}))
            raise ConnectError(
                f"the host key of {self.name} has CHANGED (known_hosts has {len(accepted)}: {kinds}; offered: "
                f"{key.get_name()} {key.fingerprint}): refused. Someone may be in between; if the node was rebuilt, "
                f"correct known_hosts (`ssh-keygen -R '{self.name}'` takes the old keys out)"
            )
        more = f"; {self.known.authorities} @cert-authority lines for it are not used" if self.known.authorities else ""
        more += f"; {len(self.known.revoked)} of its keys are @revoked" if self.known.revoked else ""
        more += f"; {self.known.malformed} lines of the files cannot be read" if self.known.malformed else ""
        raise ConnectError(
            f"the host key of {self.name} is unknown: refused{more}. It offers {key.get_name()} {key.fingerprint}. Get "
            "it by a way that you trust and add it to known_hosts, or give --known-hosts FILE"
        )
