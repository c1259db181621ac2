# SPDX-License-Identifier: Apache-2.0
"""The scripts of a run on the node (node_files.py), and the reading of its last word."""

from __future__ import annotations

import base64
import binascii
import json
import shlex
from collections.abc import Mapping

from memir.acquire.facts import NodeRun
from memir.acquire.node_files import node_script, node_text
from memir.acquire.transports.base import Result, Script
from memir.evidence.records import NodeReceipt, Scalar

RECEIPT = b"memir-receipt "
MAX_EXTRA = 50
"""Facts that the sender on the node may add to its receipt."""
RELAY = "cat"
"""The consumer that gives the stream to the transport."""
RELAY_HASHED = 'tee "$DIR/hash"'
"""The same, with a copy to sha256sum on the node."""


def relay_python(hashed: bool) -> str:
    """The same in one process, where the node has Python: no second pipe, and the FIFO widened to 1 MiB."""
    return f'exec python3 -I -S -B -c {shlex.quote(node_text("relay.py"))} "$DIR/consumer.json" {int(hashed)}'


def facts_script() -> Script:
    """What a run needs to know of the node; changes nothing."""
    return Script(node_script("facts"), "facts")


def hash_script(path: str) -> Script:
    """SHA-256 of a file on the node, in hex digits, first on the line."""
    return Script(f"sha256sum {shlex.quote(path)}", "sha256", path)


def touch_script(path: str) -> Script:
    """The heartbeat."""
    return Script(f"touch {shlex.quote(path)}", "touch", path)


def setup_script(run_id: str, *, grace: int, poll: int, need: int) -> Script:
    """Make the run's directory, take the lock, start the watchdog."""
    watchdog = node_script("remove", "watchdog")
    text = node_script("setup", RUN=run_id, GRACE=grace, POLL=poll, NEED=need, WATCHDOG=watchdog)
    return Script(text, "setup", run_id, grace, poll)


def cleanup_script(run_id: str) -> Script:
    """Stop and remove everything of the run."""
    return Script(node_script("remove", "cleanup", RUN=run_id), "cleanup", run_id)


def capture_script(
    run: NodeRun, tool: str, consumer: str, *, nice: int = 10, node_hash: bool = False, hashed: bool = False
) -> Script:
    """Run the tool into the consumer. `consumer` is a shell command; `$DIR` in it is the run's directory.

    node_hash: a sha256sum of its own reads what the consumer writes to `$DIR/hash`. hashed: the stream's hash is
    wanted; the helper, which is its own consumer, makes it.
    """
    text = node_script(
        "receipt", "capture", DIR=run.directory, TOOL=tool, CONSUMER=f"DIR={shlex.quote(run.directory)}; {consumer}",
        NICE=nice, HASH=int(node_hash),
    )  # fmt: skip
    return Script(text, "capture", run.directory, nice, int(hashed), *shlex.split(tool))


GONE, NEVER_BEGAN, GOES_ON = 66, 67, 75
"""Exit codes of `attach_script` that are not the end of a capture."""


def attach_script(run: NodeRun, rounds: int = 30) -> str:
    """Wait at most `rounds` seconds for the end of a capture that another connection began; its receipt."""
    return node_script("receipt", "attach", DIR=run.directory, ROUNDS=rounds)


def abort_script(run: NodeRun) -> Script:
    """Stop the tool and the consumer; the capture script then ends by itself, with its receipt."""
    return Script(node_script("abort", DIR=run.directory), "abort", run.directory)


def parse_receipt(error: bytes) -> NodeReceipt | None:
    """The node's receipt from the end of a capture's standard error; None if there is none or it is not
    whole.

    Whatever the node says is data from a host that may be hostile: wrong types become "not known".
    """
    start = error.rfind(RECEIPT)
    if start < 0:
        return None
    line, newline, _ = error[start + len(RECEIPT) :].partition(b"\n")
    if not newline:
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    extra = value.get("extra")
    if not isinstance(extra, dict):
        extra = {}
    return NodeReceipt(
        tool=_integer(value.get("tool")),
        consumer=_integer(value.get("consumer")),
        sha256=_hash(value.get("sha256")) or _hash(extra.get("sha256")),
        size=_integer(extra.get("size")),
        log=_text(value.get("log")),
        extra=_scalars(extra),
    )


def parse_pairs(result: Result) -> Mapping[str, str]:
    """`key=value` words of a script's last line."""
    lines = result.text.strip().splitlines()
    return dict(word.partition("=")[::2] for word in lines[-1].split()) if lines else {}


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _hash(value: object) -> str:
    ok = isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
    return str(value) if ok else ""


def _scalars(values: Mapping[str, object]) -> dict[str, Scalar]:
    """At most MAX_EXTRA short facts; lists and objects are none."""
    kept: dict[str, Scalar] = {}
    for name, value in list(values.items())[:MAX_EXTRA]:
        if isinstance(value, str):
            kept[str(name)[:100]] = value[:2000]
        elif isinstance(value, bool | int | float) and abs(value) < 1 << 63:
            kept[str(name)[:100]] = value
    return kept


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    try:
        return base64.b64decode(value, validate=True).decode("utf-8", "backslashreplace")
    except (binascii.Error, ValueError):
        return ""
