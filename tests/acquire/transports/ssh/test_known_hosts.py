# SPDX-License-Identifier: Apache-2.0
"""known_hosts as OpenSSH reads it; `ssh-keygen -F` is the judge where it can be asked."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from memir.acquire.transports.ssh.known_hosts import matches, read_known_hosts

KEY = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode()
OTHER = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


@pytest.mark.parametrize(
    ("patterns", "name", "fits"),
    [
        ("node-1", "node-1", True), ("node-?", "node-1", True), ("*.eks.internal", "a.eks.internal", True),
        ("*,!node-1", "node-1", False), ("*,!node-1", "node-2", True), ("[::1]:2222", "[::1]:2222", True),
        ("[*]:2222", "[::1]:2222", True), ("[::1]:2222", "::1", False), ("NODE-1", "node-1", True),
    ],
)  # fmt: skip
def test_patterns_as_openssh_has_them(tmp_path: Path, patterns: str, name: str, fits: bool) -> None:
    assert matches(patterns.split(","), name) is fits
    (tmp_path / "known").write_text(f"{patterns} ssh-ed25519 {KEY}\n")
    found = subprocess.run(
        ["ssh-keygen", "-F", name, "-f", str(tmp_path / "known")], capture_output=True, text=True, check=False
    )
    assert bool(found.stdout) is fits


def test_hashed_names(tmp_path: Path) -> None:
    path = tmp_path / "known"
    path.write_text(f"node-1 ssh-ed25519 {KEY}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", str(path)], check=True, capture_output=True)
    assert read_known_hosts(path.read_text(), "node-1").accepted() == [("ssh-ed25519", KEY)]
    assert read_known_hosts(path.read_text(), "node-2").accepted() == []


def test_revoked_authorities_and_malformed_lines_stop_nothing() -> None:
    text = (
        f"# a comment\n\nnode ssh-ed25519 {KEY}\nnode ssh-ed25519 {OTHER}\n@revoked * ssh-ed25519 {OTHER}\n"
        f"@cert-authority *.internal,node ssh-ed25519 {KEY}\n@strange node ssh-ed25519 {KEY}\n"
        "node ssh-ed25519 not-base64!\nnode\n|1|x|y ssh-ed25519 " + KEY + "\n\x00\x01\n"
    )
    known = read_known_hosts(text, "node")
    assert known.accepted() == [("ssh-ed25519", KEY)]
    assert (known.authorities, known.malformed, known.revoked) == (1, 4, {OTHER})
