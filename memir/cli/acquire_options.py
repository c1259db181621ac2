# SPDX-License-Identifier: Apache-2.0
"""The options of `memir acquire`, and what they mean together."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from memir.errors import UsageError

if TYPE_CHECKING:
    from memir.acquire.options import Options
    from memir.acquire.tools.store import Choice
    from memir.evidence.plan import Format

Output = Annotated[Path | None, typer.Option("--output", "-o", help="Evidence folder; must be new or empty.")]
To = Annotated[str | None, typer.Option("--to", help="s3://BUCKET/PREFIX, or a folder (as -o).")]
ToolName = Annotated[str, typer.Option("--tool", help="avml, lime or auto.")]
ToolPath = Annotated[Path | None, typer.Option("--tool-path", help="The tool's file, instead of the tool store's.")]
ImageFormat = Annotated[str, typer.Option("--format", help="avml (compressed) or lime (raw bytes).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print every step and every trace; change nothing.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
SignKey = Annotated[Path | None, typer.Option("--sign-key", help="Ed25519 private key to sign the manifest with.")]
CaseName = Annotated[str, typer.Option("--case", help="Case or ticket, written into the manifest.")]
Nice = Annotated[int, typer.Option("--nice", min=0, max=19, help="Niceness of the tool on the node.")]
Rate = Annotated[str, typer.Option("--limit-rate", help="Bytes a second at most, as 50M.")]
Grace = Annotated[int | None, typer.Option("--grace", min=1, help="Seconds until the watchdog cleans up.")]
NoHash = Annotated[bool, typer.Option("--no-node-hash", help="Do not hash the stream on the node as well.")]
LocalHash = Annotated[bool, typer.Option("--node-hash", help="Hash the stream before memir's own pipe as well.")]
NoContext = Annotated[bool, typer.Option("--no-context", help="Take the image only.")]
Cluster = Annotated[bool, typer.Option("--cluster", help="Also take a snapshot of the Kubernetes API.")]
Isolating = Annotated[bool, typer.Option("--isolating", help="You mean to cut the node off: print the order to keep.")]
Via = Annotated[str, typer.Option("--via", help="To S3 from the node or through the controller.")]
Parallel = Annotated[int, typer.Option("--parallel", min=1, max=64, help="Nodes at once.")]
Endpoint = Annotated[str | None, typer.Option("--s3-endpoint", help="Another S3 endpoint.")]
Region = Annotated[str | None, typer.Option("--region", help="AWS region.")]
Profile = Annotated[str | None, typer.Option("--profile", help="AWS profile.")]
Lock = Annotated[str, typer.Option("--object-lock", help="GOVERNANCE:DAYS or COMPLIANCE:DAYS.")]
Resume = Annotated[
    Path | None,
    typer.Option("--resume", help="Evidence folder of a run to S3 to go on with: its controller is gone."),
]


@dataclass(frozen=True, slots=True)
class Common:
    """The options that every transport shares, as the command line gave them."""

    output: Path | None
    to: str | None
    options: Options
    dry_run: bool
    as_json: bool
    via: str = "node"
    cluster: bool = False
    parallel: int = 4
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    lock: str = ""
    resume: Path | None = None


def size_of(text: str) -> int:
    """Bytes of a size as 50M; 0 for "". Raises UsageError."""
    if not text:
        return 0
    match = re.fullmatch(r"(\d{1,12})([KMG]?)i?B?", text.strip(), re.IGNORECASE)
    if not match or not int(match[1]):
        raise UsageError(f"{text!r} is no rate: write bytes a second, as 500K, 50M or 1G")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2].upper()]


def place_of(to: str | None, resume: Path | None) -> str | None:
    """--to, or where the run that is gone on with sends to."""
    if resume is None or to is not None:
        return to
    from memir.acquire.resume import read_previous

    return read_previous(resume).place.rpartition("/")[0]


def options_of(
    tool: str, tool_path: Path | None, form: str, *, nice: int, rate: str, grace: int, node_hash: bool,
    context: bool, sign_key: Path | None, case: str, isolating: bool,
) -> Options:  # fmt: skip
    """The run's options. Raises UsageError on a wrong word."""
    from memir.acquire.options import Options

    if tool not in {"auto", "avml", "lime"}:
        raise UsageError(f"--tool {tool!r}: write avml, lime or auto")
    if form not in {"avml", "lime"}:
        raise UsageError(f"--format {form!r}: write avml or lime (raw has no addresses and is not offered)")
    chosen = cast("Format", "lime" if tool == "lime" else form)
    return Options(
        tool=cast("Choice", tool), tool_path=tool_path, format=chosen,
        grace=grace, nice=nice, limit_rate=size_of(rate), node_hash=node_hash, context=context,
        sign_key=sign_key, isolating=isolating, command=sys.argv[1:], case=case,
    )  # fmt: skip
