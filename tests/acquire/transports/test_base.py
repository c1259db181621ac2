# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess

from memir.acquire.transports.base import Result, Script, bootstrap


def test_what_a_script_gave_back() -> None:
    result = Result(0, b"caf\xc3\xa9\xff", b"\x80no")
    assert (result.text, result.error, result.truncated) == ("café\\xff", "\\x80no", False)
    assert Result(None).code is None


def test_a_script_is_text_with_the_helpers_words_beside_it() -> None:
    script = Script("touch x", "touch", "x", 7)
    assert script == "touch x"
    assert script.helper == ("touch", "x", "7")
    assert Script("echo").helper == ()


def test_the_script_travels_on_standard_input_and_what_follows_is_its_own() -> None:
    boot, body = bootstrap("read -r line; echo \"got $line\"; cat; echo 'é'")
    assert "got" not in boot
    done = subprocess.run(["/bin/sh", "-c", boot], input=body + b"first\nrest", capture_output=True, check=True)
    assert done.stdout.decode() == "got first\nresté\n"
