# SPDX-License-Identifier: Apache-2.0
"""What memir's messages say to do next is done here, as printed, and then the problem is gone: acquisition."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from memir.acquire.tools.store import Store
from memir.errors import UsageError
from tests.acquire.rigs.noderig import NodeRig
from tests.cli.advice import advised, done
from tests.cli.conftest import Memir


@pytest.fixture
def no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of tools, and no avml on PATH."""
    monkeypatch.setenv("MEMIR_TOOLS", str(tmp_path / "tools"))
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    return tmp_path / "tools"


def test_a_tool_is_added(node: NodeRig, avml: Path, no_tools: Path, memir: Memir, tmp_path: Path) -> None:
    words = ["acquire", "local", "--root", node.root, "--no-context", "-o"]
    ran = memir(*words, tmp_path / "ev")
    assert ran.code != 0
    # `memir tools build avml` takes minutes of cargo: the fixture avml was made by the function that it calls
    assert advised(ran.err, "memir tools build avml")[3:] == ["avml", "--machine", os.uname().machine]
    done(advised(ran.err, "memir tools add", FILE=avml), tmp_path, memir)
    assert [entry.tool for entry in Store(no_tools).list()] == ["avml"]
    assert memir(*words, tmp_path / "second").code == 0
    assert memir(*words, tmp_path / "third", "--tool-path", avml).code == 0


def test_the_helper_is_built(no_tools: Path, memir: Memir, tmp_path: Path) -> None:
    machine = os.uname().machine
    with pytest.raises(UsageError) as caught:
        Store(no_tools).helper(machine)
    done(advised(str(caught.value), "memir tools build helper"), tmp_path, memir)
    assert Store(no_tools).helper(machine).stat().st_size < 1 << 20


def test_a_folder_that_others_can_read(node: NodeRig, avml: Path, memir: Memir, tmp_path: Path) -> None:
    folder = tmp_path / "kim's evidence"
    folder.mkdir(mode=0o755)
    words = ["acquire", "local", "--root", node.root, "--no-context", "--tool-path", avml, "-o", folder]
    ran = memir(*words)
    assert (ran.code, list(folder.iterdir())) == (4, [])
    done(advised(ran.err, "chmod"), tmp_path, memir)
    assert memir(*words).code == 0


def test_a_key_that_can_sign(node: NodeRig, avml: Path, memir: Memir, tmp_path: Path) -> None:
    make = ["openssl", "genpkey", "-algorithm", "rsa", "-out", str(tmp_path / "rsa")]
    subprocess.run(make, check=True, capture_output=True)
    words = ["acquire", "local", "--root", node.root, "--no-context", "--tool-path", avml, "-o", tmp_path / "ev"]
    ran = memir(*words, "--sign-key", tmp_path / "rsa")
    assert ran.code == 2
    done(advised(ran.err, "openssl", FILE=tmp_path / "key"), tmp_path, memir)
    assert memir(*words, "--sign-key", tmp_path / "key").code == 0
    told = memir("verify", tmp_path / "ev")
    assert (told.code, "--public-key tells" in told.out) == (0, True)
    public = subprocess.run(
        ["openssl", "pkey", "-in", str(tmp_path / "key"), "-pubout"], check=True, capture_output=True
    )
    (tmp_path / "key.pub").write_bytes(public.stdout)
    assert "signature: trusted" in memir("verify", tmp_path / "ev", "--public-key", tmp_path / "key.pub").out
