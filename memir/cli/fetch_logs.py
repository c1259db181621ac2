# SPDX-License-Identifier: Apache-2.0
"""`memir fetch-logs`: a cluster's logs from AWS, read-only, as --logs reads them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from memir.cli.common import BucketOwnerOption, JsonOption, print_json, progress
from memir.errors import EXIT_REMOTE, UsageError
from memir.text import say, say_raw

if TYPE_CHECKING:
    from memir.aws.fetch.run import Fetched


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("fetch-logs")(fetch_logs)


def fetch_logs(
    cluster_name: Annotated[
        str | None, typer.Option("--cluster-name", metavar="NAME", help="Name of the EKS cluster.")
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="From this time on (ISO 8601, UTC without a zone).")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Before this time; now if it is not given.")
    ] = None,
    node: Annotated[
        str | None,
        typer.Option("--node", help="Instance id or node's name: narrows what can be narrowed to it."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="DIR|s3://", help="Folder or S3 prefix to write to.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="A,B", help="Of audit, authenticator, cloudtrail, guardduty, flowlogs."),
    ] = None,
    region: Annotated[str | None, typer.Option("--region", help="The cluster's region.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="AWS profile.")] = None,
    permissions: Annotated[
        bool, typer.Option("--permissions", help="Print the least IAM policy that it needs, and ask nothing.")
    ] = False,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    json: JsonOption = False,
) -> None:
    """Fetch a cluster's audit and authenticator logs, CloudTrail, GuardDuty findings and VPC flow logs; read-only.

    A second run with the same options goes on where the first was cut. fetch.json says what was asked, every file's
    SHA-256, and what could not be read. Exit 0: done. 4: something was denied or not there, or AWS does not answer.
    """
    from memir.aws.client import Connection
    from memir.aws.fetch.permissions import policy, policy_text
    from memir.aws.fetch.run import chosen_sources
    from memir.aws.fetch.run import fetch_logs as fetch

    names = [name.strip() for name in (only or "").split(",") if name.strip()]
    if permissions:
        document = policy(
            chosen_sources(names), cluster_name or "*", region=region or "*", node=bool(node), where=output or ""
        )
        print_json(document) if json else say_raw(policy_text(document))
        return
    if cluster_name is None or begin is None or output is None:
        raise UsageError(
            "which logs, and where to? `memir fetch-logs --cluster-name NAME --from TIME --to TIME -o DIR`; "
            "--permissions prints what it needs"
        )
    with progress() as line:
        fetched = fetch(
            cluster_name, begin, output, end=end, node=node or "", only=names, to=Connection(region, None, profile),
            progress=line,
        )  # fmt: skip
    if json:
        print_json({"output": output, "new": fetched.new, "kept": fetched.kept, **fetched.document()})
    else:
        _print(fetched, output)
    if fetched.unread:
        raise typer.Exit(EXIT_REMOTE)


def _print(fetched: Fetched, output: str) -> None:
    say(f"{output}: cluster {fetched.cluster}, {fetched.begin} to {fetched.end}, account {fetched.account}")
    for source in fetched.sources:
        mine = [each for name, each in fetched.files.items() if name.startswith(f"{source}/")]
        size = sum(each.size or 0 for each in mine)
        say(f"{source}: {len(mine):,} file{'' if len(mine) == 1 else 's'}, {size:,} bytes")
    say(f"{fetched.new:,} files are new, {fetched.kept:,} were there")
    for unread in fetched.unread:
        say(f"not read: {unread.source}: {unread.why}")
    if any(unread.denied for unread in fetched.unread):
        say("what it needs is in a policy: --permissions prints the least one")
    if fetched.files:
        say(f"memir analyze IMAGE -o CASE --logs {shlex.quote(output)}")
